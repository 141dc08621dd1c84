"""Describe what the values of a prepared mask mean: which structures a pixel is part of, or that nobody knows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

MOST_LAYERS = 10  # structures that may overlap: masks then hold 1,024 values


@dataclass(frozen=True)
class Shade:
    """Describe a value of a prepared mask.

    code: the value. names: the structures that such a pixel is part of; none of the background. ignored: nobody knows;
    such pixels carry no loss and no score. value, colour: what stands for it in people's own masks, a grey value or
    palette index, and a colour as `#rrggbb`.
    """

    code: int
    names: tuple[str, ...] = ()
    ignored: bool = False
    value: int | None = None
    colour: str | None = None


@dataclass(frozen=True)
class Structures:
    """Hold the names of the structures in the masks of a data set, and the meaning of each value of a prepared mask.

    >>> Structures.layered(("disc", "cup")).codes_of("cup")
    (2, 3)
    """

    names: tuple[str, ...]
    shades: tuple[Shade, ...]

    @classmethod
    def two_valued(cls, name: str) -> Structures:
        """Describe masks of a single structure, white on black."""
        return cls((name,), (Shade(0), Shade(255, (name,))))

    @classmethod
    def layered(cls, names: Sequence[str]) -> Structures:
        """Describe masks that were put together from a two-valued file for each structure: bit k is the k-th one.

        Raises ValueError where there are more than MOST_LAYERS.
        """
        if len(names) > MOST_LAYERS:
            raise ValueError(f"at most {MOST_LAYERS} structures may overlap, not {len(names)}")
        parts = (tuple(name for bit, name in enumerate(names) if code >> bit & 1) for code in range(1 << len(names)))
        return cls(tuple(names), tuple(Shade(code, part) for code, part in enumerate(parts)))

    @classmethod
    def read(cls, described: Mapping[str, Any]) -> Structures:
        """Read what `described` has written. Raises KeyError, TypeError or ValueError where it is something else."""
        names = tuple(map(str, described["names"]))
        if "shades" not in described:
            return cls.layered(names)
        return cls(names, tuple(Shade(**{**shade, "names": tuple(shade["names"])}) for shade in described["shades"]))

    def described(self) -> dict[str, Any]:
        """Return them as values of JSON; of layered ones the names alone."""
        if self.is_layered:
            return {"names": list(self.names)}
        shades = ({**asdict(shade), "names": list(shade.names)} for shade in self.shades)
        return {"names": list(self.names), "shades": list(shades)}

    @property
    def is_layered(self) -> bool:
        """Return whether masks came as a file for each structure."""
        return len(self.names) <= MOST_LAYERS and self == Structures.layered(self.names)

    @property
    def are_told(self) -> bool:
        """Return whether a model has to know them: they exclude each other, or have values of people's own."""
        return self.exclusive or any(shade.value is not None or shade.colour for shade in self.shades)

    @property
    def exclusive(self) -> bool:
        """Return whether there are several structures, and no pixel is part of two."""
        return len(self.names) > 1 and all(len(shade.names) < 2 for shade in self.shades)

    @property
    def codes(self) -> tuple[int, ...]:
        """List all values that a prepared mask may hold."""
        return tuple(shade.code for shade in self.shades)

    @property
    def ignored(self) -> tuple[int, ...]:
        """List the values of which nobody knows what they are."""
        return tuple(shade.code for shade in self.shades if shade.ignored)

    def codes_of(self, name: str) -> tuple[int, ...]:
        """List the values that stand for a structure."""
        return tuple(shade.code for shade in self.shades if name in shade.names)

    def only(self, names: Sequence[str]) -> Structures:
        """Describe the same masks where some of the structures are looked at: the others count as background."""
        kept = tuple(name for name in self.names if name in names)
        if kept == self.names:
            return self
        return Structures(
            kept,
            tuple(
                shade
                if set(shade.names) <= set(kept)
                else Shade(shade.code, tuple(name for name in shade.names if name in kept), shade.ignored)
                for shade in self.shades
            ),
        )


def file_of(photograph: str, structure: str, structures: Collection[str]) -> str:
    """Name the file that shows a structure of a photograph, without its suffix; of a single one as the photograph is.

    A dot parts them where `_` would not do: `P_red` with `small` and `P` with `red_small`. No structure has a dot.

    >>> file_of("P_red", "small", ("small", "disc")), file_of("P_red", "small", ("small", "red_small"))
    ('P_red_small', 'P_red.small')
    """
    if len(structures) < 2:
        return photograph
    unclear = any(longer.endswith(f"_{shorter}") for longer in structures for shorter in structures)
    return f"{photograph}{'.' if unclear else '_'}{structure}"
