"""A table as Markdown, CSV and LaTeX. Whatever a name holds, it is shown as it is and runs nowhere."""

from __future__ import annotations

import csv
import io
import re

from swcl_cli.reporting.tables import Cell, Table, Value

LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "±": r"$\pm$", "\n": " ", "\r": " ",
}  # fmt: skip
MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~&$])")
QUOTE = "'"
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_markdown(table: Table) -> str:
    """A pipe table under its title and sentence; best is **bold**, best in domain <u>underlined</u>."""
    lines = [f"## {_markdown(table.title)}", "", _markdown(table.sentence), ""]
    lines += [_pipes([_markdown(column) for column in table.columns])]
    lines += [_pipes(["---"] + ["---:"] * (len(table.columns) - 1))]
    lines += [
        _pipes([_marked(cell, _markdown(cell.text), "**{}**", "<u>{}</u>") for cell in row]) for row in table.rows
    ]
    for note in table.notes:
        lines += ["", _markdown(note)]
    return "\n".join(lines) + "\n"


def to_csv(table: Table) -> str:
    """Values, not their rounded text. Text that a spreadsheet would run as a formula gets a leading apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    records = table.records or (table.columns, *(tuple(_plain(cell) for cell in row) for row in table.rows))
    writer.writerows([_harmless(value) for value in record] for record in records)
    return out.getvalue()


def to_latex(table: Table) -> str:
    """A booktabs table; needs \\usepackage{booktabs} and, for the quotation marks, T1 fonts."""
    body = [
        [_marked(cell, _latex(cell.text), r"\textbf{{{}}}", r"\underline{{{}}}") for cell in row] for row in table.rows
    ]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_latex(table.sentence)}}}",
        rf"\label{{tab:{table.name}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}",
        r"\toprule",
        " & ".join(_latex(column) for column in table.columns) + r" \\",
        r"\midrule",
        *(" & ".join(row) + r" \\" for row in body),
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par\smallskip\footnotesize {_latex(note)}" for note in table.notes),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _plain(cell: Cell) -> Value:
    return cell.text if cell.value is None else cell.value


def _harmless(value: Value) -> Value:
    if not isinstance(value, str):
        return value
    return f"{QUOTE if value.startswith(FORMULA) else ''}{value}".replace("\r", " ")


def _marked(cell: Cell, text: str, bold: str, underlined: str) -> str:
    text = underlined.format(text) if cell.best_in_domain else text
    return bold.format(text) if cell.best else text


def _pipes(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown(text: str) -> str:
    return MARKDOWN.sub(r"\\\1", " ".join(text.splitlines()))


def _latex(text: str) -> str:
    return "".join(LATEX.get(letter, letter) for letter in text)
