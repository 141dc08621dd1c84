"""Write a table as Markdown, CSV and LaTeX, so that no name in it is taken as markup or run as a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable

from swcl_cli.legible import legible
from swcl_cli.reporting.tables.table import Cell, Table, Value

LATEX = {
    **{letter: f"\\{letter}" for letter in "{}$&#_%"},
    **{"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "|": r"\textbar{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", '"': r"\textquotedbl{}", "±": r"$\pm$", "\n": " ", "\r": " "},
}
MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~&$])")
CODE = re.compile(r"`([^`]+)`")  # of a sentence: what is to be typed
TYPEWRITER = r"\texttt{{{}}}"
DASHES = re.compile(r"-(?=-)")  # two would become one long one
QUOTE = "'"
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_markdown(table: Table) -> str:
    """Write a pipe table under its title and sentence: best bold, best in domain underlined, the paper's in italics."""
    lines = [f"## {_markdown(table.title)}", "", _sentence(table.sentence, _markdown, "`{}`"), ""]
    lines += [_pipes([_markdown(column) for column in table.columns])]
    lines += [_pipes(["---"] + ["---:"] * (len(table.columns) - 1))]
    lines += [
        _pipes([_marked(cell, _markdown, "**{}**", "<u>{}</u>", " *({})*") for cell in row]) for row in table.rows
    ]
    for note in (*table.conclusions, *table.notes):
        lines += ["", _sentence(note, _markdown, "`{}`")]
    return "\n".join(lines) + "\n"


def to_csv(table: Table) -> str:
    """Write values, not their rounded text. Text that a spreadsheet would run as a formula gets an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    records = table.records or (table.columns, *(tuple(_plain(cell) for cell in row) for row in table.rows))
    writer.writerows([_harmless(value) for value in record] for record in records)
    return out.getvalue()


def to_latex(table: Table) -> str:
    """Write a booktabs table; needs \\usepackage{booktabs} and, for the quotation marks, T1 fonts.

    The paper's numbers are in parentheses and italics: grey would need another package. A row that begins with what
    would be an option of the line break before it gets an empty group in front.
    """
    body = [
        [_marked(cell, _latex, r"\textbf{{{}}}", r"\underline{{{}}}", r" \emph{{({})}}") for cell in row]
        for row in table.rows
    ]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_sentence(table.sentence, _latex, TYPEWRITER)}}}",
        rf"\label{{tab:{table.name}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}",
        r"\toprule",
        " & ".join(_latex(column) for column in table.columns) + r" \\",
        r"\midrule",
        *(("{}" if row[0].startswith(("[", "*")) else "") + " & ".join(row) + r" \\" for row in body),
        r"\bottomrule",
        r"\end{tabular}",
        *(
            rf"\par\smallskip\footnotesize {_sentence(note, _latex, TYPEWRITER)}"
            for note in (*table.conclusions, *table.notes)
        ),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _sentence(text: str, escaped: Callable[[str], str], code: str) -> str:
    """Escape a sentence, with what stands between backticks as code."""
    parts = CODE.split(text)
    return "".join(
        code.format(_one_line(part) if code[0] == "`" else escaped(part)) if place % 2 else escaped(part)
        for place, part in enumerate(parts)
    )


def _plain(cell: Cell) -> Value:
    return cell.text if cell.value is None else cell.value


def _harmless(value: Value) -> Value:
    if not isinstance(value, str):
        return value
    return legible(f"{QUOTE if value.startswith(FORMULA) else ''}{value}".replace("\r", " "))


def _marked(cell: Cell, escaped: Callable[[str], str], bold: str, underlined: str, aside: str) -> str:
    text = escaped(cell.text)
    text = underlined.format(text) if cell.best_in_domain else text
    text = bold.format(text) if cell.best else text
    return text + (aside.format(escaped(f"paper {cell.published}")) if cell.published else "")


def _pipes(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown(text: str) -> str:
    return MARKDOWN.sub(r"\\\1", _one_line(text))


def _one_line(text: str) -> str:
    return legible(" ".join(text.splitlines()))


def _latex(text: str) -> str:
    return DASHES.sub("-{}", "".join(LATEX.get(letter, letter) for letter in legible(text.replace("\r", " "))))
