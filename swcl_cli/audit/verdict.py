"""Judge by how two photographs agree whether they are the same photograph, or the same eye taken twice."""

from __future__ import annotations

from swcl_cli.audit.registration import Agreement
from swcl_cli.audit.turns import LAID

COPY, VISIT = "copy", "visit"  # the same photograph; the same eye in another photograph
CERTAIN, LIKELY = "certain", "likely"

# Measured on 1,400 degraded copies and 24,000 pairs that look alike, of five public sets prepared at 192 px (FACTS 9).
# A camera never stands twice in the same place: what was taken twice is shifted by more than 2 % of the field's radius,
# or turned by more than 0.3 degrees. A crop moves the disc that is fitted, but turns nothing.
SHARP_VESSELS, SHARP_LEVELS = 0.85, 0.97  # of copies that say themselves what they are
DIM_VESSELS, DIM_LEVELS, DIM_RESIDUAL = 0.68, 0.94, 1.6  # of hazy ones, where JPEG's noise is as large as what is seen
STILL_DEGREES, STILL_APART, STILL_STRETCH = 0.3, 0.02, 1.04
FIXED_DEGREES, FIXED_APART, FIXED_RESIDUAL = 0.1, 0.005, 0.5
FIXED_VESSELS, FIXED_LEVELS = 0.85, 0.85  # of those that did not move at all, though their light was clipped
CROPPED = ((0.12, 0.12, 0.85, 0.985), (0.3, 0.2, 0.93, 0.998))  # degrees, apart at most; vessels, levels at least
SAME_LOCAL, SAME_RESIDUAL, SAME_SHARP, SAME_VESSELS = 0.85, 0.6, 0.93, 0.7  # of one eye; dust is in fewer places
SAME_LEVELS = 0.3  # and it neither moves nor is lit as the eye is
IDENTICAL = 0.999
BRIGHTER = 1.08  # gain from which brightness was changed
LESS_SEEN = 0.03  # share of the disc that one shows and the other does not


def verdict(agreement: Agreement) -> tuple[str, str] | None:
    """Return COPY or VISIT and how sure it is; None for two eyes, or where too little is seen."""
    if _is_copy(agreement):
        is_sharp = agreement.vessels >= SHARP_VESSELS and agreement.levels >= SHARP_LEVELS
        return COPY, CERTAIN if is_sharp else LIKELY
    if (
        not _is_still(agreement)
        and agreement.levels >= SAME_LEVELS
        and agreement.vessels >= SAME_VESSELS
        and agreement.local >= SAME_LOCAL
        and agreement.residual <= SAME_RESIDUAL
        and agreement.sharp >= SAME_SHARP
    ):
        return VISIT, CERTAIN if agreement.vessels >= SHARP_VESSELS else LIKELY
    return None


def _is_still(agreement: Agreement) -> bool:
    """Tell whether nothing moved in the field of view: the same photograph, or dust on the lens of one camera."""
    return abs(agreement.degrees) <= STILL_DEGREES and agreement.apart <= STILL_APART


def _is_copy(agreement: Agreement) -> bool:
    degrees, apart = abs(agreement.degrees), agreement.apart
    vessels, levels, residual = agreement.vessels, agreement.levels, agreement.residual
    if agreement.stretch > STILL_STRETCH:
        return False
    fixed = degrees <= FIXED_DEGREES and apart <= FIXED_APART and residual <= FIXED_RESIDUAL
    return (
        (_is_still(agreement) and vessels >= DIM_VESSELS and levels >= DIM_LEVELS and residual <= DIM_RESIDUAL)
        or (fixed and vessels >= FIXED_VESSELS and levels >= FIXED_LEVELS)
        or any(degrees <= a and apart <= b and vessels >= c and levels >= d for a, b, c, d in CROPPED)
    )


def change(kind: str, turn: int, agreement: Agreement, shares: tuple[float, float], equal: bool) -> str:
    """Say how the second photograph of a pair differs from the first, in words joined by commas.

    turn: how it has to be laid to lie like the first; shares: of the disc, in the first and the second frame; equal:
    whether the prepared files are the same, byte for byte. Of a visit it is told how the camera moved.
    """
    laid = LAID[turn]
    degrees = laid.degrees if laid.mirrored else -laid.degrees % 360  # the other way round; a mirroring undoes itself
    words = ["mirrored"] if laid.mirrored else []
    words += [f"turned by {degrees}"] if degrees else []
    if kind == VISIT:
        moved = f"shifted by {100 * agreement.apart:.0f} % of the radius"
        return ", ".join([*words, moved, f"rotated by {abs(agreement.degrees):.1f} degrees"])
    if equal:
        return "equal"
    if abs(shares[1] - shares[0]) > LESS_SEEN:
        words.append("cropped" if shares[1] < shares[0] else "less cropped")
    if not 1 / BRIGHTER <= agreement.gain <= BRIGHTER:
        words.append("brighter" if agreement.gain > 1 else "darker")
    return ", ".join(words or ["resized or compressed" if agreement.vessels < IDENTICAL else "nearly equal"])
