"""Change RGB photographs, uint8 (H, W, 3) in and out, by operations that equal torchvision's of the same name on uint8.

They agree within a grey level on average, also on real photographs; OpenCV does them in a tenth of the time (FACTS 6).
"""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from swcl_cli.data.colour import Colour
from swcl_cli.errors import SwclError

Image = NDArray[Any]  # uint8 (H, W, 3); OpenCV's annotations know no element types
Kernel = NDArray[Any]  # float32 (taps,)

cv2.setNumThreads(0)  # workers are processes: OpenCV's own threads would only fight over the same cores

HUES = np.arange(256) / 256  # of the colour circle
LUMA = np.array([0.2989, 0.587, 0.114], np.float32)
SAME = np.eye(3, dtype=np.float32)
FLOOR = -0.499  # OpenCV rounds where torchvision floors; whole numbers must not change


def resize(image: Image, width: int, height: int) -> Image:
    """Resize bilinearly with antialiasing: first blur as much as torchvision's triangle filter blurs beyond bilinear.

    The triangle over s pixels has the variance s^2 / 6, plain bilinear 1 / 6 on average. Three taps reach s = 2.2; they
    are closer to torchvision than OpenCV's area mean, in half of its time.
    """
    across = max((image.shape[1] / width) ** 2 - 1, 0) / 6
    down = max((image.shape[0] / height) ** 2 - 1, 0) / 6
    if max(across, down) > 2 / 3:
        image = _separable(image, _gaussian(math.sqrt(across)), _gaussian(math.sqrt(down)), cv2.BORDER_REPLICATE)
    elif max(across, down) > 0:
        image = _separable(image, _three_taps(across), _three_taps(down), cv2.BORDER_REPLICATE)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


def flip(image: Image) -> Image:
    """Exchange left and right."""
    return cv2.flip(image, 1)


def adjust_brightness(image: Image, factor: float) -> Image:
    """Multiply all levels by the factor."""
    return _affine(image, factor * SAME)


def adjust_contrast(image: Image, factor: float) -> Image:
    """Multiply all differences from the image's mean grey by the factor."""
    return _affine(image, factor * SAME, (1 - factor) * float(np.dot(cv2.mean(image)[:3], LUMA)))


def adjust_saturation(image: Image, factor: float) -> Image:
    """Multiply each pixel's difference from its own grey by the factor."""
    return _affine(image, factor * SAME + (1 - factor) * LUMA)


def adjust_hue(image: Image, shift: float) -> Image:
    """Shift hues by -0.5 to 0.5 of the colour circle. OpenCV's full range has 256 hues from RGB, and 255 back to it."""
    table = np.rint((HUES + shift) % 1 * 255).astype(np.uint8)
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
    cv2.insertChannel(cv2.LUT(cv2.extractChannel(hsv, 0), table), hsv, 0)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)


def to_grey(image: Image) -> Image:
    """Turn the image grey: three equal channels."""
    return _affine(image, np.tile(LUMA, (3, 1)))


def gaussian_blur(image: Image, sigma: float) -> Image:
    """Blur by sigma pixels; the kernel ends at 3 sigma, where its weights fall below a grey level."""
    kernel = _gaussian(sigma)
    return _separable(image, kernel, kernel, cv2.BORDER_REFLECT_101)


def solarize(image: Image) -> Image:
    """Invert all levels from 0.5 up."""
    return cv2.min(image, cv2.bitwise_not(image))


def normalise(image: Image, mean: Colour, std: Colour) -> NDArray[np.float32]:
    """Normalise each channel to (level / 255 - mean) / std: uint8 (H, W, 3) -> float32 (3, H, W)."""
    normalised = np.empty((3, *image.shape[:2]), np.float32)
    for channel, center, spread, plane in zip(cv2.split(image), mean, std, normalised, strict=True):
        np.multiply(channel, np.float32(1 / (255 * spread)), out=plane)
        plane -= np.float32(center / spread)
    return normalised


def _affine(image: Image, matrix: NDArray[np.float32], offset: float = 0.0) -> Image:
    """Multiply each pixel's colour by `matrix` (3, 3), add `offset` levels, and round down."""
    return cv2.transform(image, np.hstack([matrix, np.full((3, 1), offset + FLOOR, np.float32)]))


def _separable(image: Image, across: Kernel, down: Kernel, border: int) -> Image:
    """Filter rows and columns, in half of the time of cv2.GaussianBlur, which pays for being bit-exact."""
    return cv2.sepFilter2D(image, -1, across, down, borderType=border)


def _gaussian(sigma: float) -> Kernel:
    return cv2.getGaussianKernel(2 * math.ceil(3 * sigma) + 1, max(sigma, 1e-3), cv2.CV_32F)


def _three_taps(variance: float) -> Kernel:
    return np.array([variance / 2, 1 - variance, variance / 2], np.float32)


def center_crop_box(height: int, width: int, size: int) -> tuple[int, int]:
    """Return the top left corner (x, y) of the central size x size square, rounded half to even as torchvision does.

    Raises SwclError where the image is smaller than the square.
    """
    if size > min(height, width):
        raise SwclError(f"a square of {size} px does not fit into an image of {width} x {height} px (width x height)")
    return round((width - size) / 2), round((height - size) / 2)
