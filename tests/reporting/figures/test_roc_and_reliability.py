from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from swcl_cli.catalogue.labels import Label, Question
from swcl_cli.evaluation.metrics import auc, roc_points
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.labeler import labeler_figures
from swcl_cli.reporting.figures.reliability import reliability_figure
from swcl_cli.reporting.figures.roc import mean_roc, roc_figure
from swcl_cli.reporting.figures.style import LIGHT, Figure
from swcl_cli.reporting.findings.probabilities import Probabilities, Scored
from swcl_cli.reporting.findings.questions import class_of, question_of

QUESTION = Question("glaucoma", "photographs with glaucoma", "photographs without")


def _run(seed: int, count: int = 40) -> Probabilities:
    rng = np.random.default_rng(seed)
    truth = rng.random(count) < 0.4
    scores = np.round(rng.random(count) * 0.6 + 0.4 * truth.astype(float), 1)  # so that some are equal
    return Probabilities(truth, scores)


def _panels(picture: Figure) -> list[Axes]:
    return picture.draw(LIGHT).get_axes()


def test_roc_and_reliability_of_the_labeler(contents: Contents) -> None:
    roc, diagram = labeler_figures(contents)
    assert "labeler AUC 75.0, at 0.5 sensitivity 50.0 and specificity 50.0" in roc.alt
    assert "4 validation photographs, 2 of them abnormal" in roc.sentence
    assert (
        "ECE 32.5, by bins 5.0 predicted, 0.0 observed (n = 1), 45.0 predicted, 100.0 observed (n = 1)" in diagram.alt
    )
    (axes,) = _panels(roc)
    legend = axes.get_legend()
    assert legend is not None and [text.get_text() for text in legend.get_texts()] == [
        "labeler: 75.0",
        "chance",
    ]  # of one patient of each kind: no interval
    curve, dot, _ = axes.lines
    assert np.asarray(curve.get_xydata()).tolist() == [[0, 0], [0, 50], [50, 50], [50, 100], [100, 100]]
    assert np.asarray(dot.get_xydata()).tolist() == [[50, 50]]
    above, below = _panels(diagram)
    assert above.lines[0].get_xdata() == pytest.approx([5, 45, 60, 90])
    assert above.lines[0].get_ydata() == pytest.approx([0, 100, 0, 100])
    assert [bar.get_height() for bar in below.patches if isinstance(bar, Rectangle)] == [1, 0, 0, 0, 1, 0, 1, 0, 1, 0]
    contents.labeler_scores = None
    assert labeler_figures(contents) == []


def test_the_mean_of_one_curve_is_the_curve() -> None:
    run = _run(0)
    x, y = mean_roc([run])
    exact = np.transpose(roc_points(run.truth, run.score)).tolist()
    assert all(point in exact for point in np.transpose((x, y)).tolist())
    assert np.trapezoid(y, x) == pytest.approx(auc(run.truth, run.score))


def test_a_mean_curve_by_hand() -> None:
    """One finds both cases at once; the other a half of them, then takes both others for cases."""
    perfect = Probabilities(np.array([True, True, False, False]), np.array([0.9, 0.8, 0.2, 0.1]))
    half = Probabilities(np.array([True, True, False, False]), np.array([0.9, 0.1, 0.8, 0.7]))
    assert np.transpose(mean_roc([perfect, half])).tolist() == [[0, 0], [0, 0.75], [1, 0.75], [1, 1]]


def test_under_a_mean_curve_lies_the_mean_of_the_areas() -> None:
    runs = [_run(seed, 20 + 7 * seed) for seed in range(5)]
    x, y = mean_roc(runs)
    assert (np.diff(x) >= 0).all() and (np.diff(y) >= 0).all()
    assert np.trapezoid(y, x) == pytest.approx(np.mean([auc(run.truth, run.score) for run in runs]), abs=1e-9)


def test_several_curves_have_lines_of_their_own() -> None:
    scored = [Scored(f"<{place}>", (_run(place), _run(place + 1)), "50") for place in range(11)]
    roc = roc_figure("roc", "ROC", "Many.", scored, QUESTION)
    (axes,) = _panels(roc)
    curves = [line for line in axes.lines if str(line.get_label()).startswith("<")]
    assert len({(line.get_color(), line.get_marker(), str(line.get_markevery())) for line in curves}) == 11
    assert len(axes.lines) == 1 + 11  # chance, and no dots: a mean of curves has no threshold
    assert "the mean of its runs' curves" in roc.sentence and "photographs with glaucoma" in roc.sentence


def test_colours_are_those_of_the_whole_report() -> None:
    scored = [Scored("b", (_run(0),), "50")]
    (axes,) = _panels(roc_figure("roc", "ROC", "", scored, QUESTION, ["a", "b"]))
    (alone,) = _panels(roc_figure("roc", "ROC", "", scored, QUESTION))
    assert axes.lines[1].get_color() != alone.lines[1].get_color()


def test_bins_hold_all_runs_and_errors_are_averaged() -> None:
    """Two photographs a run at 0.95: of the first run both are cases (error 5), of the second none (error 95)."""
    sure = np.array([0.95, 0.95])
    scored = Scored(
        "swcl", (Probabilities(np.array([True, True]), sure), Probabilities(np.array([False, False]), sure))
    )
    assert scored.calibration_error == pytest.approx(0.5)
    assert scored.pooled.count.tolist() == [0] * 9 + [4] and scored.pooled.share[9] == 0.5
    picture = reliability_figure("r", "R", "One.", [scored], QUESTION)
    assert "ECE 50.0, by bins 95.0 predicted, 50.0 observed (n = 4)" in picture.alt
    assert "averaged over the runs" in picture.sentence


def test_many_reliability_diagrams_stand_side_by_side() -> None:
    scored = [Scored(f"<{place}>", (_run(place),), "50") for place in range(5)]
    picture = reliability_figure("r", "R", "Many.", scored, QUESTION)
    shown = [axes for axes in _panels(picture) if axes.get_visible()]
    errors = [100 * one.calibration_error for one in scored]
    assert [axes.get_title() or axes.get_title("left") for axes in shown] == [
        f"<{place}>\nECE {error:.1f}" for place, error in enumerate(errors)
    ]
    together = reliability_figure("r", "R", "Few.", scored[:4], QUESTION)
    assert len(_panels(together)) == 2


def test_messidor_asks_for_referable_retinopathy() -> None:
    """Its classes are grades 0 and 1 against 2 and 3, those of other tasks the grades themselves."""
    assert question_of("messidor", "dr_grade").cases == "photographs with retinopathy of grade 2 or 3"
    assert [class_of("messidor", "dr_grade", found) for found in (0, 1)] == ["not referable", "referable"]
    assert class_of("messidor", "dme_grade", 2) == "2"  # of a data set that is not here
    assert class_of("messidor", "dme_grade", 2, dataset="messidor") == "exudates near"
    grades = ["none", "mild", "moderate", "severe", "proliferative", "5"]
    assert [class_of("idrid", "dr_grade", number, dataset="idrid") for number in range(6)] == grades
    assert [class_of("folder-odir", "abnormal", number, dataset="odir") for number in (0, 1)] == ["normal", "abnormal"]
    own = Label("dr_grade", "grades", "dr_grade", names=("R0", "R1"))
    assert [class_of("folder-mine", "dr_grade", number, own, "mine") for number in (1, 2)] == ["R1", "2"]
    assert question_of("idrid", "dr_grade").cases == "photographs with retinopathy"
    assert question_of("folder", "stage").others == "photographs with stage 0"
