"""List the columns of every parquet file that swcl writes: its writer and its readers take them from here."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import pandas as pd
import pyarrow as pa

from swcl_cli.catalogue.labels import LABELS, Label
from swcl_cli.datasets.download import SPLITS as SPLITS

TEXT, FLAG, INTEGER, NUMBER = pa.string(), pa.bool_(), pa.int64(), pa.float64()
LONG_TEXT = pa.large_string()  # in predictions: what pandas makes of text, and all files so far hold


@dataclass(frozen=True)
class Columns:
    """Hold names and types in the order of the file, the names of those that may be null in a row, and the key: those
    of which no two rows have the same values.

    The schema itself calls all of them nullable: it is a part of the file's bytes. own: those whose names people have
    chosen, so that they have no LIMITS, whatever they are called.
    """

    schema: pa.Schema
    gaps: frozenset[str] = frozenset()
    key: tuple[str, ...] = ()
    own: frozenset[str] = frozenset()

    @property
    def names(self) -> list[str]:
        names: list[str] = self.schema.names
        return names

    @property
    def required(self) -> list[str]:
        """List the names of those that are never null."""
        return [name for name in self.names if name not in self.gaps]

    def __add__(self, other: Columns) -> Columns:
        schema = pa.schema([*self.schema, *other.schema])
        return Columns(schema, self.gaps | other.gaps, self.key + other.key, self.own | other.own)

    def after(self, **types: pa.DataType) -> Columns:
        """Put others before these, of which any may be null."""
        return Columns(pa.schema([*types.items(), *self.schema]), self.gaps | types.keys(), self.key, self.own)

    def only(self, names: Sequence[str]) -> Columns:
        """Describe some of the columns, in this order; the key remains where they have it.

        Raises KeyError where one is not among them.
        """
        schema = pa.schema([self.schema.field(name) for name in names])
        key = self.key if set(self.key) <= set(names) else ()
        return Columns(schema, self.gaps & set(names), key, self.own & set(names))

    def table(self, frame: pd.DataFrame) -> pa.Table:
        """Make a table of the frame, with the order and the types of the file.

        Raises ValueError where the frame has others, or lacks one.
        """
        if unlike := sorted(set(self.names) ^ set(frame.columns)):
            raise ValueError(f"a table has just the columns {self.names}, which differ in {unlike}")
        return pa.Table.from_pandas(frame, self.schema, preserve_index=False)


def _columns(*fields: tuple[str, pa.DataType], gaps: str = "", key: str = "") -> Columns:
    return Columns(pa.schema(fields), frozenset(gaps.split()), tuple(key.split()))


NOTHING = Columns(pa.schema([]))


def _all_null(*fields: tuple[str, pa.DataType]) -> Columns:
    return Columns(pa.schema(fields), frozenset(name for name, _ in fields))


PHOTOGRAPH = _columns(
    ("dataset", TEXT),
    ("split", TEXT),  # train, val, test
    ("image_id", TEXT),  # unique in its data set
    ("patient_id", TEXT),
    ("group_id", TEXT),  # patients who share an image, byte for byte, are one group: no split parts them
    ("eye", TEXT),  # left, right, unknown
    ("path", TEXT),  # paths: POSIX, relative to the workspace
    ("width", pa.int32()),  # of the prepared image
    ("height", pa.int32()),
    ("checksum", INTEGER),  # of the prepared image file's bytes, CRC-32
    key="split image_id",
)
ARROW = {  # by kind of label
    "binary": FLAG, "grade": pa.int8(), "number": pa.int16(), "text": TEXT, "classes": TEXT, "grades": TEXT,
    "several": TEXT,
}  # fmt: skip


def _arrow(label: Label) -> pa.DataType:
    """Return the type of a label's column; numbers of people's own have decimals."""
    return NUMBER if label.is_own and label.kind == "number" else ARROW[label.kind]


def label_columns(labels: Collection[Label]) -> Columns:
    """The columns of these labels: null where one is not known."""
    columns = _all_null(*((label.name, _arrow(label)) for label in labels))
    return replace(columns, own=frozenset(label.name for label in labels if label.is_own))


MASKS = _all_null(("mask_path", TEXT), ("fov_path", TEXT), ("lesion_mask_path", TEXT))
SOURCE = _columns(
    ("source_path", TEXT),  # relative to the source
    ("source_hash", TEXT),  # SHA-256 of the source file's bytes
)


def manifest_columns(own: Collection[Label]) -> Columns:
    """The columns of a manifest.parquet, which has a row a photograph. own: labels of people's own."""
    return PHOTOGRAPH + label_columns([*LABELS.values(), *own]) + MASKS + SOURCE


MANIFEST = manifest_columns(())  # what all manifests have

SWAP = _columns(  # a row a patch of swap.parquet
    ("dataset", TEXT),
    ("patient_id", TEXT),
    ("image_id", TEXT),
    ("eye", TEXT),
    ("position", TEXT),
    ("path", TEXT),
    ("x", pa.int32()),
    ("y", pa.int32()),
    ("size", pa.int32()),
    ("rotated", FLAG),  # by 180 degrees, before it is mirrored
    ("mirrored", FLAG),
    ("score", pa.float32()),
    ("abnormal", FLAG),
    ("image_abnormal", FLAG),
    ("checksum", INTEGER),  # of the photograph's file, CRC-32
    ("single", FLAG),  # has no partner: the rule of `left_right_pairs`
    gaps="image_abnormal",
    key="path position",
)

JUDGED = SWAP.only(  # a row a patch of runs/make-swap/judged/DATASET.parquet
    [
        "dataset",
        "patient_id",
        "image_id",
        "position",
        "path",
        "x",
        "y",
        "size",
        "rotated",
        "mirrored",
        "score",
        "checksum",
    ]
) + _columns(
    ("group_id", TEXT),
    ("mask_path", TEXT),  # the mask of its lesions
    ("lesions", pa.list_(TEXT)),  # the kinds of lesion that it holds
    ("lesion_share", NUMBER),  # of its pixels
)

LABELER_SCORES = _columns(  # a row a validation photograph of the labeler's validation.parquet
    ("dataset", TEXT),
    ("image_id", TEXT),
    ("patient_id", TEXT),
    ("truth", FLAG),  # whether it is abnormal
    ("score", pa.float32()),
    key="dataset image_id",
)

SEEDED = _columns(  # a run of a fine-tuning
    ("task", TEXT),
    ("name", TEXT),  # of the initial weights
    ("run", TEXT),
    ("seed", pa.int32()),
    ("fold", pa.int32()),  # from 0; null where the data set has splits
    gaps="fold",
    key="task name run",
)
RESULTS = SEEDED + _columns(  # a row a split and measure of results.parquet
    ("split", TEXT),
    ("measure", TEXT),
    ("value", NUMBER),
    ("reason", TEXT),  # why the value is not a number
    ("primary", FLAG),
    ("low", NUMBER),  # of the 95 % interval, null where there is none
    ("high", NUMBER),
    gaps="value reason low high",
    key="split measure",
)
GRID = SEEDED + _columns(  # a row a point of grid.parquet
    ("learning_rate", NUMBER),
    ("weight_decay", NUMBER),
    ("measure", TEXT),
    ("value", NUMBER),
    ("best_epoch", pa.int32()),  # null where the training diverged
    ("chosen", FLAG),
    gaps="value best_epoch",
    key="learning_rate weight_decay",
)

DESCRIBED = _columns(  # a row a photograph of data/DATASET/.descriptions.parquet
    ("path", TEXT),
    ("checksum", INTEGER),
    ("numbers", pa.list_(pa.float32())),
    ("sketch", pa.binary()),
    key="path",
)
QUALITY = _columns(  # a row a photograph of data/DATASET/quality.parquet
    ("path", TEXT),
    ("checksum", INTEGER),
    ("quality", NUMBER),  # the product of its parts, which are these
    *((name, NUMBER) for name in ("field", "clipped", "light", "contrast", "sharpness", "vessels", "blocks")),
    ("field_found", FLAG),  # whether the border of the field of view was seen
    key="path",
)
COMPARED = _columns(  # a row a pair of data/.compared.parquet, by the checksums of its photographs
    ("checksum", INTEGER),
    ("other_checksum", INTEGER),
    ("turn", pa.int8()),
    ("seen", NUMBER),  # share of the field of view that the frame shows
    ("other_seen", NUMBER),
    *((name, NUMBER) for name in ("vessels", "levels", "local", "residual", "sharp")),
    *((name, NUMBER) for name in ("apart", "degrees", "stretch", "gain")),
    key="checksum other_checksum turn",
)
PLACE = _columns(
    ("dataset", TEXT), ("split", TEXT), ("image_id", TEXT), ("patient_id", TEXT), ("group_id", TEXT), ("path", TEXT)
)
AUDIT = _columns(  # a row a pair of audit.parquet
    ("kind", TEXT),  # copy: the same photograph; visit: the same eye in another photograph
    ("sure", TEXT),  # certain, likely
    ("change", TEXT),  # what was done to the other one; of a visit, how the camera moved
    *PLACE.schema,
    *((f"other_{name}", kind) for name, kind in zip(PLACE.names, PLACE.schema.types, strict=True)),
    ("unlike", TEXT),  # labels that differ, with both values
    ("leak", TEXT),  # the splits, where a copy parts train from test
    ("family", pa.int32()),  # number of all that are copies of each other
    *((name, NUMBER) for name in ("vessels", "levels", "residual", "apart", "degrees", "gain")),
    gaps="unlike leak family",
    key="path other_path",
)

ORIENTATION = _columns(  # a row a photograph of data/DATASET/orientation.parquet, in the order of the manifest
    ("split", TEXT),
    ("image_id", TEXT),
    ("patient_id", TEXT),
    ("eye", TEXT),  # by name
    ("path", TEXT),
    ("checksum", INTEGER),
    ("inverted", FLAG),  # it lies upside down: turned by 180 degrees
    ("inverted_confidence", NUMBER),  # the chance that `inverted` is right
    ("side", TEXT),  # of the eye, by what is seen and by names
    ("side_confidence", NUMBER),
    ("misnamed", FLAG),  # the name tells the other side, and what is seen is sure
    ("disc_x", NUMBER),  # pixels of the prepared photograph
    ("disc_y", NUMBER),
    ("disc_confidence", NUMBER),
    ("fovea_x", NUMBER),
    ("fovea_y", NUMBER),
    ("fovea_confidence", NUMBER),
    ("poses", pa.list_(pa.float32())),  # log p of the poses, by what is seen in this photograph alone
    key="image_id",
)

FEATURES = _columns(  # a row a photograph of features/DATASET
    ("path", TEXT), ("checksum", INTEGER), ("features", pa.list_(pa.float32())), key="path"
)
EMBEDDED = _columns(  # a row a photograph of embeddings.parquet, beside the vectors; what files don't tell is null
    ("dataset", TEXT),
    ("split", TEXT),
    ("image_id", TEXT),
    ("patient_id", TEXT),
    ("eye", TEXT),
    ("path", TEXT),
    ("pca_1", NUMBER),  # places on the plane in which the vectors vary most
    ("pca_2", NUMBER),
    gaps="dataset split patient_id eye",
    key="path",
)


def embedded(labels: Collection[Label], neighbours: bool) -> Columns:
    """List the columns of embeddings.parquet, but for its vectors. neighbours: it has UMAP's plane, too."""
    plane = _columns(("umap_1", NUMBER), ("umap_2", NUMBER)) if neighbours else NOTHING
    return EMBEDDED + plane + label_columns(labels)


PREDICTED = _columns(("image_id", TEXT), ("patient_id", TEXT), ("path", TEXT), key="path")
OF_RUN = _columns(("split", LONG_TEXT), ("task", LONG_TEXT), ("name", LONG_TEXT), ("run", LONG_TEXT), key="run")


NUMBERS = _columns(
    ("true_number", NUMBER), ("predicted_number", NUMBER), gaps="true_number predicted_number"
)  # of predictions


def classified(named: bool = False, numbers: bool = False) -> Columns:
    """List the columns of a classification's predictions.parquet, which has a row a photograph and head.

    named: classes have names, those of people's own labels. numbers: some heads are numbers, whose rows have these in
    place of classes.
    """
    classes = _columns(
        ("head", LONG_TEXT),
        ("truth", INTEGER),
        ("prediction", INTEGER),
        ("probabilities", pa.list_(pa.float32())),
        key="head",
    )
    names = _columns(("true_class", LONG_TEXT), ("predicted_class", LONG_TEXT)) if named else NOTHING
    if not numbers:
        return PREDICTED + classes + names + OF_RUN
    some = replace(classes + names, gaps=frozenset(classes.names + names.names) - {"head"})
    return PREDICTED + some + NUMBERS + OF_RUN


CLASSIFIED = classified()  # what all classifications have
NUMBERED = classified(numbers=True)  # what those have of which some heads are numbers


def segmented(ratio: tuple[str, str] | None = None, in_field: bool = False) -> Columns:
    """List the columns of a segmentation's predictions.parquet, which has a row a photograph and structure.

    ratio: the structures whose diameters are compared; in_field: the photographs have fields of view, inside of which
    pixels are counted once more.
    """
    columns = PREDICTED + _columns(
        ("mask_path", TEXT),
        ("fov_path", TEXT),
        ("structure", LONG_TEXT),
        ("shades", pa.list_(pa.int16())),  # the values of the mask that are the structure
        ("map_path", LONG_TEXT),
        ("f1", NUMBER),
        ("true_positives", INTEGER),
        ("false_positives", INTEGER),
        ("false_negatives", INTEGER),
        ("true_negatives", INTEGER),
        gaps="fov_path map_path",
        key="structure",
    )
    if ratio:
        columns += _all_null(*((name, NUMBER) for name in ("_to_".join(ratio) + "_truth", "_to_".join(ratio))))
    return columns + _pixels("") + (_pixels("_fov") if in_field else NOTHING) + OF_RUN


def _pixels(suffix: str) -> Columns:
    """List those of histograms of the log odds: the bins' lower bounds, and how many pixels lie in each."""
    return _columns(
        (f"log_odds{suffix}", pa.list_(pa.float32())),
        (f"positives{suffix}", pa.list_(INTEGER)),  # of the structure
        (f"negatives{suffix}", pa.list_(INTEGER)),
    )


SEGMENTED = segmented()  # what all segmentations have

ABSENT_MEANS = {"rotated": False}  # by name, of columns that came later: what holds in files that lack them
