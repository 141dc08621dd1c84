"""The pretraining methods. To add one: a file here with `prepare`, its name in METHODS and in `settings/names.py`."""

from swcl_cli.methods import byol, dino, multitask, simclr, supervised, swcl, swcl_image

METHODS = {
    "swcl": swcl.prepare,
    "simclr": simclr.prepare,
    "byol": byol.prepare,
    "dino": dino.prepare,
    "supervised-odir": supervised.prepare_odir,
    "supervised-eyepacs": supervised.prepare_eyepacs,
    "multitask": multitask.prepare,
    "swcl-image": swcl_image.prepare,
}
