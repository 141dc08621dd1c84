"""Hold colour constants in RGB order, on the scale 0 to 1: of Kaggle EyePACS (FACTS A11), and of others' weights."""

from typing import Literal

Colour = tuple[float, float, float]

MEAN: Colour = (0.3219, 0.2259, 0.1633)
STD: Colour = (0.3038, 0.2195, 0.1756)
IMAGENET: tuple[Colour, Colour] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF: tuple[Colour, Colour] = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # -1 to 1, as Inception and RETFound-Green


def constants(order: Literal["rgb", "released"]) -> tuple[Colour, Colour]:
    """Return mean and standard deviation; "released": in the order in which the released code applies them to RGB."""
    return (MEAN, STD) if order == "rgb" else (MEAN[::-1], STD[::-1])
