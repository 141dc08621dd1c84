"""Phantom eyes as clinics of people's own have them: photographs, and a table with labels of any name."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path

from swcl_cli.phantom.layouts.folder import lay_out_folder

STAGES = ("healthy", "mild", "moderate", "severe", "proliferative")  # of retinopathy
CLASSES = ("healthy", "DR", "other")


def clinic(
    folder: Path,
    seed: int,
    patients: int,
    table: str = "labels.csv",
    absent: Sequence[int] = (),
    classes: Sequence[str] = CLASSES,
) -> list[str]:
    """Draws both eyes of each patient at 64 px, P000_L.jpg; returns their names, in the order of the table's rows.

    The table has the columns image, patient, eye, diagnosis (one of `classes`: of eyes without and with retinopathy,
    and abnormal without it; '' of the rows in `absent`), stage (0 to 4), signs (several at once), outcome (of patients:
    well or ill) and one_class.
    """
    drawing = folder.with_name(f"{folder.name}-drawing")
    list(lay_out_folder(drawing, folder.with_name(f"{folder.name}-lesions"), seed, patients, 64))
    with open(drawing / "labels.csv", encoding="utf-8", newline="") as handle:
        drawn = list(csv.DictReader(handle))
    folder.mkdir(parents=True)
    ill = {row["patient"] for row in drawn if row["abnormal"] == "1"}
    rows = []
    for number, row in enumerate(drawn):
        name = Path(row["image"]).name
        shutil.move(drawing / row["image"], folder / name)
        grade, abnormal = int(row["dr_grade"]), row["abnormal"] == "1"
        signs = ";".join(sign for sign, there in (("DR", grade > 0), ("other", abnormal and not grade)) if there)
        rows.append({
            "image": name, "patient": row["patient"], "eye": row["eye"],
            "diagnosis": "" if number in absent else classes[1 if grade else 2 * abnormal],
            "stage": grade, "signs": signs or "none", "outcome": "ill" if row["patient"] in ill else "well",
            "one_class": "yes" if number else "no",
        })  # fmt: skip
    with open(folder.with_name(table), "w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return [str(row["image"]) for row in rows]
