from __future__ import annotations

import pytest

from swcl_cli.catalogue.labels import LABELS
from swcl_cli.catalogue.tasks import TASKS
from swcl_cli.reporting.findings.counts import counted, noun


@pytest.mark.parametrize(
    ("plural", "one"),
    [
        ("data sets", "1 data set"), ("photographs", "1 photograph"), ("patches", "1 patch"), ("others", "1 other"),
        ("test photographs", "1 test photograph"), ("photographs with signs", "1 photograph with signs"),
        ("patients of class AMD", "1 patient of class AMD"), ("initialisations", "1 initialisation"),
    ],
)  # fmt: skip
def test_one_is_one(plural: str, one: str) -> None:
    assert counted(1, plural) == one
    assert counted(0, plural) == f"0 {plural}" and counted(1234, plural) == f"1,234 {plural}"


def test_the_words_of_all_questions_have_a_singular() -> None:
    questions = [label.question for label in LABELS.values() if label.question]
    questions += [grouping.question for task in TASKS.values() for grouping in task.groupings.values()]
    for words in (words for question in questions for words in (question.cases, question.others)):
        assert noun(1, words) == words.replace("photographs", "photograph") != words
