"""Say what each command does and how it is called: the texts of --help."""

from __future__ import annotations

from pathlib import Path

CHECKOUT = (Path(__file__).parents[1] / "Makefile").is_file()
START = "make demo" if CHECKOUT else "swcl prep phantom"
HELP = f"""
Encoders for retinal photographs that transfer, from few labels and many photographs.

The steps, in order: prep, train-labeler, make-swap, pretrain, finetune, report. Each reads what the ones before it
left in the workspace and names the command to run where something is missing. Start with: {START}

Whether photographs are copies of others, such as of tested ones, is told by: audit
A model of `finetune`, or an encoder, is applied to other photographs by: predict
Either is written for other programs by: export
Whether all this helps on your data is answered by: study
"""

OPPOSITES = "Each switch has an opposite for what a preset turns on: --no- and its name."
COMMANDS: dict[str, tuple[tuple[str, ...], str]] = {  # by step: settings that are positional, and the help text
    "prep": (
        ("dataset", "source"),
        """
Prepare a raw public download: check it, resize it, and write images, masks and a manifest to data/DATASET.

The download is never modified. Bad images are set aside and listed in quarantine.csv; a bad label file stops the step.

Examples:

  swcl prep list

  swcl prep phantom

  swcl prep odir ~/downloads/ODIR-5K --preset small

  swcl prep folder ~/photographs --name clinic-a
""",
    ),
    "audit": (
        (),
        """
Find photographs that are copies of others, within and across all prepared data sets. Writes audit.parquet.

Copies are found resized, compressed again, cropped, brightened, mirrored or turned. Told are two labels for one
photograph, copies that splits part, and test photographs that a labeler or encoder of the workspace has learnt.
The same eye in two photographs is told apart: it is no copy.
The quality of each photograph is measured, too: data/DATASET/quality.parquet.

Writes orientation.parquet of each data set, too: which photographs lie upside down, which eye each shows, how sure that
is, and where disc and fovea lie. Photographs that are named after the other eye are listed.

Examples:

  swcl audit

  swcl audit --data idrid,idrid-seg --workers 4
""",
    ),
    "train-labeler": (
        (),
        """
Train the labeler (S4L): cross-entropy on the labelled photographs, triplet loss on all. Writes labeler.safetensors.

An interrupted run goes on when the same command is given again.

Example:

  swcl train-labeler --preset small
""",
    ),
    "make-swap": (
        (),
        """
Turn the labeler's class activation maps into retinal-SWAP: five scored patches an eye. Writes swap.parquet.

With another --threshold on an existing file only the labels are rewritten; the scores stay.

Examples:

  swcl make-swap --threshold 0.4

  swcl make-swap --labeler pytorch_model.bin --materialize swap-files
""",
    ),
    "pretrain": (
        (),
        """
Pretrain an encoder, by default by SWCL on retinal-SWAP. Writes NAME.safetensors, which timm loads without this program.

An interrupted run goes on when the same command is given again. With --processes, or under torchrun, all train as one.

Examples:

  swcl pretrain --preset small

  swcl pretrain --init imagenet --chunk 32

  swcl pretrain --method simclr --views 1000000

  swcl pretrain --processes 8
""",
    ),
    "finetune": (
        ("task",),
        """
Fine-tune an encoder on a public task and score it on the task's test images. Writes finetune/TASK/NAME.

TASK all: each public task whose data are prepared. Finished runs are skipped, and an interrupted one goes on.

Examples:

  swcl finetune drive --init swcl.safetensors

  swcl finetune idrid --init random --architecture resnet18 --seeds 3

  swcl finetune all --init swcl.safetensors --grid

  swcl finetune folder --init swcl.safetensors --freeze
""",
    ),
    "report": (
        (),
        """
Write tables, figures and one self-contained page from all that the workspace holds: report/index.html.

Examples:

  swcl report

  swcl report --no-images
""",
    ),
    "predict": (
        ("model", "images"),
        """
Apply a model of `finetune` to photographs of any size and format. Writes OUT: a table, masks and overlays.

The model file alone is enough. Nothing of the photographs is modified; unreadable ones are listed in unreadable.csv.

Example:

  swcl predict finetune/drive/swcl/seed0/model.safetensors photographs --out vessels

  swcl predict finetune/folder-a/swcl/*/model.safetensors --data b
""",
    ),
    "export": (
        ("model",),
        """
Write a model or an encoder for other programs, with a model card. Writes OUT: model.onnx, model.pt, or timm's form.

What is written is compared with `swcl predict` on synthetic eyes, and refused where it differs. No network is needed.

Examples:

  swcl export finetune/idrid/swcl/seed0/model.safetensors --to onnx --out grades

  swcl export swcl.safetensors --to folder --out encoder
""",
    ),
    "study": (
        (),
        """
Plan an answer to "does SWCL help here?" on the workspace's own data. Prints it, and writes study/plan.sh.

Its commands are those above: pretraining by each method from random and from ImageNet weights, at equal views, then on
each task linear probes, few labels and all, in an order that can be cut anywhere. The plan stays the same when it is
called again, less what is done; what is not in the workspace is named beforehand.

Examples:

  swcl study --hours 2

  swcl study --hours 8 --tasks drive,idrid --initialisations random,swcl,simclr

  swcl study --collect tests/evidence
""",
    ),
}
