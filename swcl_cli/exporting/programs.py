"""Write a graph to a file that another program runs, and run it by that program."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from swcl_cli.errors import SwclError
from swcl_cli.exporting.graphs import INPUT, Graph, Pixels, Run
from swcl_cli.workspace import METADATA_KEY, atomic

OPSET = 18  # of ONNX: what runtimes since 2023 know
ONNX = ("onnx", "onnxscript", "onnxruntime")
OPERATOR = re.compile(r"(?:aten|torchvision|prims)(?:\.|::)\w+")


def require_onnx() -> None:
    """Raise SwclError, with the command that installs them, where packages of the extra `onnx` are missing."""
    if missing := [name for name in ONNX if find_spec(name) is None]:
        raise SwclError(f"--to onnx needs {', '.join(missing)}: pip install 'swcl[onnx]'")


def write_onnx(graph: Graph, path: Path, described: Mapping[str, Any]) -> Run:
    """Write an ONNX file with any batch size; `described` becomes its metadata. Return what runs it.

    Raises SwclError, which names the operator, where ONNX lacks one.
    """
    names = [output.name for output in graph.outputs]
    batch: Any = torch.export.Dim("N")
    try:
        with _quietly():
            program = torch.onnx.export(
                graph,
                (graph.example(),),
                dynamo=True,
                dynamic_shapes=({0: batch},),
                input_names=[INPUT],
                output_names=names,
                opset_version=OPSET,
                verbose=False,
            )
            assert program is not None
            program.model.metadata_props[METADATA_KEY] = json.dumps(described, sort_keys=True)
            with atomic(path) as partial:
                program.save(partial, external_data=False)
    except Exception as error:  # of torch's exporter, of many kinds
        raise SwclError(_not_written(graph, error)) from error
    return onnx_run(path)


def onnx_run(path: Path) -> Run:
    """Return a function that runs an ONNX file by onnxruntime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda images: dict(zip(names, session.run(None, {INPUT: images}), strict=True))


def write_torchscript(graph: Graph, path: Path, described: Mapping[str, Any]) -> Run:
    """Write a TorchScript file, by tracing; `described` is kept in it as swcl.json. Return what runs it."""
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # it is deprecated; and traces are checked on photographs afterwards
        try:
            traced = torch.jit.trace(graph, (graph.example(),), check_trace=False)
        except RuntimeError as error:
            raise SwclError(_not_written(graph, error, "TorchScript")) from error
        with atomic(path) as partial:
            extra = {f"{METADATA_KEY}.json": json.dumps(described, sort_keys=True)}
            torch.jit.save(traced, str(partial), _extra_files=extra)
        loaded = torch.jit.load(str(path))
    names = [output.name for output in graph.outputs]

    def run(images: Pixels) -> dict[str, np.ndarray]:
        with torch.inference_mode():
            parts = loaded(torch.from_numpy(images))
        return dict(zip(names, (part.numpy() for part in parts), strict=True))

    return run


def _not_written(graph: Graph, error: Exception, form: str = "ONNX") -> str:
    """Say why a graph could not be written: the operator that is lacking, if the error names one."""
    text = f"{error} {error.__cause__ or ''}"
    operators = dict.fromkeys(OPERATOR.findall(text))
    first = next((line.strip() for line in str(error.__cause__ or error).splitlines() if line.strip()), "")
    reason = f"it has no {', '.join(operators)}" if operators else first
    others = " or ".join(other for other in ("onnx", "torchscript", "folder") if other != form.lower())
    return f"{graph.predictor.model.architecture} can't be written as {form}: {reason}. Take --to {others}."


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep to itself what torch's exporter prints and logs of its progress."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
