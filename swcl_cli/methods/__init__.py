"""The pretraining methods. To add one: a file here with `prepare`, its name in METHODS and in `settings/names.py`."""

from swcl_cli.methods import swcl

METHODS = {"swcl": swcl.prepare}
