"""The page: one file with all its pictures, readable without a network, a script or a mouse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from swcl_cli import __version__
from swcl_cli.reporting.cautions import Caution
from swcl_cli.reporting.glance import Fact
from swcl_cli.reporting.origins import Origin
from swcl_cli.reporting.style import Rendered
from swcl_cli.reporting.tables import Table


@dataclass(frozen=True)
class Section:
    """A heading with its tables and figures. Folded tables stay closed until they are opened."""

    name: str
    title: str
    tables: Sequence[Table] = ()
    figures: Sequence[Rendered] = ()
    folded: Sequence[Table] = ()

    @property
    def empty(self) -> bool:
        return not (self.tables or self.figures or self.folded)


def render_page(
    phantom: bool,
    facts: Sequence[Fact],
    cautions: Sequence[Caution],
    sections: Sequence[Section],
    origins: Sequence[Origin],
) -> str:
    """HTML in which every text is escaped. Equal contents give equal text."""
    environment = Environment(
        loader=PackageLoader("swcl_cli.reporting", "."), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("page.html.j2").render(
        phantom=phantom, facts=facts, cautions=cautions, sections=sections, origins=origins, version=__version__
    )
