"""Write the pieces of code in a model card: how a photograph is prepared, and how the network is asked."""

from __future__ import annotations

from swcl_cli.catalogue.tasks import SEGMENTATION
from swcl_cli.exporting.graphs import INPUT, LOG_ODDS, Embedding, Graph, Windows
from swcl_cli.preparation.photograph import JPEG_QUALITY
from swcl_cli.tasks.classification import RESIZE
from swcl_cli.tasks.saved import Description

FIELD = 'image = image.crop(image.convert("L").point(lambda level: 255 * (level > 15)).getbbox())  # the field of view'
SHORTER = (  # {1}: how the longer side is rounded, by `prep` to the nearest, by the view of a network down
    "image = image.resize([{1}(side * {0} / min(image.size)) for side in image.size], Image.Resampling.BILINEAR)"
)
LOSS = [
    "file = BytesIO()",
    f'image.save(file, "JPEG", quality={JPEG_QUALITY}, subsampling=0)  # as the photographs that trained',
    "image = Image.open(file)",
]
WINDOWS = """\
height, width = photograph.shape[:2]
padded = np.pad(photograph, ((0, max({S} - height, 0)), (0, max({S} - width, 0)), (0, 0)), mode="edge")

def starts(length):
    stride = length // -(-length // {S})
    return sorted({{*range(0, length - {S}, stride), length - {S}}})

total, count = 0, np.zeros(padded.shape[:2])
for y in starts(padded.shape[0]):
    for x in starts(padded.shape[1]):
        images = padded[None, y : y + {S}, x : x + {S}]
        around = ((0, 0), (y, padded.shape[0] - y - {S}), (x, padded.shape[1] - x - {S}))
        total = total + np.pad({ask}, around)
        count[y : y + {S}, x : x + {S}] += 1
log_odds = (total / count)[:, :height, :width]
{answer}"""


def recipe(model: Description) -> str:
    """Write how a file becomes the input, in some lines of Pillow. Resizing differs from ours by a grey level or so."""
    form, side = model.form, model.crop
    lines = [
        *([] if form.lossless else ["from io import BytesIO", ""]),
        "import numpy as np",
        "from PIL import Image, ImageOps",
        "",
        'image = ImageOps.exif_transpose(Image.open("eye.jpg")).convert("RGB")',
    ]
    lines += [FIELD] if form.crop_to_field else []
    if form.size and form.square:
        lines.append(f"image = image.resize(({form.size}, {form.size}), Image.Resampling.BILINEAR)")
    elif form.size:
        lines.append(SHORTER.format(form.size, "round"))
    lines += [] if form.lossless else LOSS
    if model.kind == SEGMENTATION:
        return "\n".join([*lines, "photograph = np.asarray(image)  # uint8 (H, W, 3)"])
    fit = model.facts.get("fit", "crop")
    if fit == "squash":
        lines.append(f"image = image.resize(({side}, {side}), Image.Resampling.BILINEAR)")
    elif fit == "pad":
        lines += [
            f"image = ImageOps.contain(image, ({side}, {side}), Image.Resampling.BILINEAR)",
            f"left, top = ({side} - image.width) // 2, ({side} - image.height) // 2",
            f"image = image.crop((-left, -top, {side} - left, {side} - top))",
        ]
    else:
        lines += [
            SHORTER.format(round(side * RESIZE), "int"),
            f"left, top = round((image.width - {side}) / 2), round((image.height - {side}) / 2)",
            f"image = image.crop((left, top, left + {side}, top + {side}))",
        ]
    return "\n".join([*lines, f"{INPUT} = np.asarray(image)[None]  # uint8 (1, {side}, {side}, 3)"])


def use(graph: Graph, to: str, by_timm: bool) -> str:
    """Write how the network is asked about the input that `recipe` makes."""
    outputs = [output.name for output in graph.outputs]
    if to == "onnx":
        start = ["import onnxruntime", "", 'session = onnxruntime.InferenceSession("model.onnx")']
        ask = f'session.run(["{LOG_ODDS}"], {{"{INPUT}": images}})[0][0]'
        end = [f'answers = dict(zip({outputs!r}, session.run(None, {{"{INPUT}": {INPUT}}})))']
    elif to == "torchscript":
        start = ["import torch", "", 'network = torch.jit.load("model.pt")']
        ask = "network(torch.from_numpy(images.copy()))[0][0].numpy()"
        end = [f"answers = dict(zip({outputs!r}, network(torch.from_numpy({INPUT}.copy()))))"]
    elif by_timm:
        return _by_timm(graph)
    else:
        return 'import swcl_cli\n\nanswer = swcl_cli.load_model("model.safetensors")("eye.jpg")'
    if not isinstance(graph, Windows):
        return "\n".join([*start, *end])
    answer = "probabilities = 1 / (1 + np.exp(-log_odds))  # of each structure, (K, H, W)"
    if graph.structures.exclusive:
        answer = (
            "odds = np.exp(log_odds)\nprobabilities = odds / (1 + odds.sum(axis=0))  # of each structure, (K, H, W)"
        )
    return "\n".join([*start, WINDOWS.format(S=graph.side, ask=ask, answer=answer)])


def _by_timm(graph: Graph) -> str:
    answer = "" if isinstance(graph, Embedding) else ".sigmoid()" if graph.several else ".softmax(dim=1)"
    lines = [
        "import timm",
        "import torch",
        "",
        'network = timm.create_model("local-dir:.", pretrained=True).eval()',
        'mean, std = (torch.tensor(network.pretrained_cfg[name]) for name in ("mean", "std"))',
        f"views = ((torch.from_numpy({INPUT}.copy()) / 255 - mean) / std).permute(0, 3, 1, 2)",
        f'answers = {{"{graph.outputs[0].name}": network(views){answer}}}',
    ]
    return "\n".join(lines)
