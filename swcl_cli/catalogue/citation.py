"""Say how the method and this program are cited, as BibTeX."""

from __future__ import annotations

METHOD = """@article{yap2021swcl,
  title   = {Semi-weakly Supervised Contrastive Representation Learning for Retinal Fundus Images},
  author  = {Yap, Boon Peng and Ng, Beng Koon},
  journal = {arXiv preprint arXiv:2108.02122},
  year    = {2021}
}"""
PROGRAM = """@software{{swcl,
  title   = {{swcl}},
  author  = {{{{The swcl developers}}}},
  version = {{{version}}}
}}"""


def bibtex(version: str) -> str:
    """Return both entries. version: the program's."""
    return f"{METHOD}\n{PROGRAM.format(version=version)}"
