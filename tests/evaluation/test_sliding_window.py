"""Windows cover every pixel once or more, and the mean over them gives an identity's input back."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from swcl_cli.evaluation.sliding_window import predict_windows, window_starts


def picture(height: int, width: int) -> Tensor:
    return torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("height", "width"), [(200, 200), (383, 500), (384, 384), (385, 384), (200, 700), (584, 565), (1634, 1634)]
)
def test_an_identity_gives_the_image_back(height: int, width: int) -> None:
    image = picture(height, width)
    torch.testing.assert_close(predict_windows(lambda windows: windows, image, 384), image, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("length", "expected"), [(384, [0]), (385, [0, 1]), (565, [0, 181]), (1151, [0, 383, 766, 767])]
)
def test_starts_by_hand(length: int, expected: list[int]) -> None:
    assert window_starts(length, 384) == expected


def test_strides_are_those_of_the_released_rule() -> None:
    assert window_starts(1634, 384) == [0, 326, 652, 978, 1250]  # floor(1634 / 5) = 326


@given(window=st.integers(1, 500), more=st.integers(0, 3000))
def test_windows_cover_the_side(window: int, more: int) -> None:
    starts = window_starts(window + more, window)
    assert starts[0] == 0 and starts[-1] == more
    assert all(0 < later - earlier <= window for earlier, later in pairwise(starts))


def test_logits_are_averaged_where_windows_overlap() -> None:
    calls: list[int] = []

    def number_of_the_window(windows: Tensor) -> Tensor:
        first = sum(calls)
        calls.append(len(windows))
        numbers = torch.arange(first, first + len(windows), dtype=torch.float32)
        return numbers[:, None, None, None].expand(-1, 2, 4, 4)

    logits = predict_windows(number_of_the_window, picture(4, 6), window=4, batch=8)  # starts 0 and 2
    assert logits.shape == (1, 2, 4, 6)
    assert logits[0, 0, 0].tolist() == [0, 0, 0.5, 0.5, 1, 1]


def test_windows_come_in_batches_of_bounded_size() -> None:
    sizes: list[int] = []

    def network(windows: Tensor) -> Tensor:
        sizes.append(len(windows))
        assert windows.shape[1:] == (3, 16, 16)
        return windows[:, :1]

    whole = predict_windows(network, picture(70, 50), 16, batch=3)
    assert max(sizes) == 3 and sum(sizes) == len(window_starts(70, 16)) * len(window_starts(50, 16))
    torch.testing.assert_close(whole, predict_windows(network, picture(70, 50), 16, batch=100))


def test_small_images_are_continued_by_their_edges() -> None:
    seen: list[Tensor] = []

    def noted(windows: Tensor) -> Tensor:
        seen.append(windows)
        return windows

    predict_windows(noted, picture(5, 9), 8)
    assert all(torch.equal(window[0, :, row], window[0, :, 4]) for window in seen for row in (5, 6, 7))


def test_half_precision_logits_are_summed_in_fp32() -> None:
    image = picture(40, 40)
    logits = predict_windows(lambda windows: windows.bfloat16(), image, 16)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, image.bfloat16().float())
