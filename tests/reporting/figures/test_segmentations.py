from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.overlays import COLOURS
from swcl_cli.reporting.figures.segmentations import chosen, outcome_colours, part_around, segmentations
from swcl_cli.reporting.figures.style import FALSE_ALARM, HIT, LIGHT, MISS
from tests.reporting.predictions import contents_of


def test_colours_of_outcomes() -> None:
    truth, predicted = np.array([[True, True, False, False]]), np.array([[True, False, True, False]])
    assert outcome_colours(truth, predicted)[0].tolist() == [list(HIT), list(MISS), list(FALSE_ALARM), [0, 0, 0]]


def test_a_missing_map_leaves_out_its_initialisation(contents: Contents) -> None:
    (contents.root / "finetune/drive/swcl/seed0/maps/test0_left.png").unlink()
    (picture,) = segmentations(contents)
    assert "random, worst 50.0; random, best 100.0" in picture.alt and "swcl" not in picture.alt
    assert len(contents.damaged) == 1


def test_few_initialisations_are_chosen() -> None:
    """Random weights and the paper's method, then the best."""
    f1 = {"random": 0.1, "byol": 0.2, "dino": 0.9, "bit-m": 0.8, "simclr": 0.3, "swcl": 0.4}
    rows = pd.DataFrame({"name": list(f1), "f1": list(f1.values())})
    assert chosen(rows) == ["random", "dino", "bit-m", "swcl"]
    assert chosen(rows[rows["name"] == "byol"]) == ["byol"]


def test_the_part_around_small_structures() -> None:
    """As large again to each side as half of their longer side, kept inside the photograph."""
    structures = np.zeros((100, 120), bool)
    structures[40:60, 50:60] = True
    rows, columns = part_around(structures)
    assert (rows, columns) == (slice(30, 69), slice(35, 74))
    structures[:] = False
    structures[0:20, 110:120] = True
    assert part_around(structures) == (slice(0, 39), slice(81, 120))


def test_large_structures_and_none_are_shown_whole() -> None:
    structures = np.zeros((100, 120), bool)
    whole = (slice(0, 100), slice(0, 120))
    assert part_around(structures) == whole
    structures[10:90, 10:90] = True
    assert part_around(structures) == whole


def _disc_and_cup(root: Path) -> Contents:
    """Two photographs; of the first the cup is found too large, of the second all is right."""
    rows = []
    for number in range(2):
        mask = np.full((128, 128), 255, np.uint8)
        mask[40:60, 40:60], mask[45:55, 45:55] = 128, 0
        found = {"disc": mask < 255, "cup": mask == 0}
        if number == 0:
            found["cup"] = mask < 255
        images = {"image": np.full((128, 128, 3), 90, np.uint8), "mask": mask}
        images |= {structure: np.uint8(255) * part for structure, part in found.items()}
        for name, pixels in images.items():
            Image.fromarray(pixels).save(root / f"{number}-{name}.png")
        for structure, shades, f1 in (("disc", [0, 128], 1.0), ("cup", [0], (0.4, 1.0)[number])):
            rows.append(
                {
                    "task": "refuge-seg", "name": "swcl", "run": "seed0", "split": "test", "image_id": str(number),
                    "patient_id": str(number), "path": f"{number}-image.png", "structure": structure,
                    "mask_path": f"{number}-mask.png", "shades": shades, "map_path": f"{number}-{structure}.png",
                    "f1": f1,
                }
            )  # fmt: skip
    contents = contents_of(root, [])
    contents.segmented = pd.DataFrame(rows)
    return contents


def test_several_structures_of_a_photograph_stand_side_by_side(tmp_path: Path) -> None:
    (picture,) = segmentations(_disc_and_cup(tmp_path))
    assert "swcl, worst disc 100.0, cup 40.0; swcl, best disc 100.0, cup 100.0" in picture.alt
    panels = [axes for axes in picture.draw(LIGHT).get_axes() if axes.images]
    titles = [axes.get_title() or axes.get_title("left") for axes in panels]
    assert titles[:3] == ["swcl, worst", "disc: F1 100.0", "cup: F1 40.0"] and len(panels) == 6
    disc, cup = (np.asarray(axes.images[0].get_array()).reshape(-1, 3) for axes in panels[1:3])
    counted = [(part == np.array(colour)).all(axis=1).sum() for part in (disc, cup) for colour in (HIT, FALSE_ALARM)]
    assert counted == [400, 0, 100, 300]
    assert len(disc) == 39 * 39  # only what lies around them


def test_a_photograph_whose_f1_is_unknown_is_no_case(tmp_path: Path) -> None:
    contents = _disc_and_cup(tmp_path)
    contents.segmented.loc[contents.segmented["image_id"] == "1", "f1"] = np.nan
    (picture,) = segmentations(contents)
    assert "swcl, worst disc 100.0, cup 40.0; swcl, best disc 100.0, cup 40.0" in picture.alt


def test_many_structures_are_drawn_together_in_their_colours(tmp_path: Path) -> None:
    """The mask and what was found, with a legend; the second structure was missed."""
    codes = np.zeros((96, 96), np.uint8)
    for number in range(3):
        codes[10:80, 10 + 25 * number : 30 + 25 * number] = number + 1
    Image.fromarray(np.full((96, 96, 3), 60, np.uint8)).save(tmp_path / "image.png")
    Image.fromarray(codes).save(tmp_path / "mask.png")
    rows = []
    for number, structure in enumerate("abc"):
        found = (codes == number + 1) & (number != 1)
        Image.fromarray(found * np.uint8(255)).save(tmp_path / f"{structure}.png")
        rows.append(
            {
                "task": "folder", "name": "swcl", "run": "seed0", "split": "test", "image_id": "0", "patient_id": "0",
                "path": "image.png", "structure": structure, "mask_path": "mask.png", "shades": [number + 1],
                "map_path": f"{structure}.png", "f1": float(number != 1),
            }
        )  # fmt: skip
    contents = contents_of(tmp_path, [])
    contents.segmented = pd.DataFrame(rows)
    (picture,) = segmentations(contents)
    assert "each structure has a colour" in picture.sentence
    assert "swcl, worst a 100.0, b 0.0, c 100.0" in picture.alt
    drawing = picture.draw(LIGHT)
    (legend,) = drawing.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b", "c"]
    panels = [axes for axes in drawing.get_axes() if axes.images]
    titles = [axes.get_title("left") or axes.get_title() for axes in panels[:3]]
    assert titles == ["swcl, worst", "mask", "found: F1 66.7"]
    for panel, seen in ((panels[1], (True, True, True)), (panels[2], (True, False, True))):
        pixels = np.asarray(panel.images[0].get_array())
        outlines = [tuple(pixels[10, 20 + 25 * number]) == COLOURS[number] for number in range(3)]
        assert tuple(outlines) == seen
