"""Hold the colour statistics of Kaggle EyePACS in RGB order, on the scale 0 to 1 (FACTS A11)."""

from typing import Literal

Colour = tuple[float, float, float]

MEAN: Colour = (0.3219, 0.2259, 0.1633)
STD: Colour = (0.3038, 0.2195, 0.1756)


def constants(order: Literal["rgb", "released"]) -> tuple[Colour, Colour]:
    """Return mean and standard deviation; "released": in the order in which the released code applies them to RGB."""
    return (MEAN, STD) if order == "rgb" else (MEAN[::-1], STD[::-1])
