"""List the kinds of fine-tuning tasks. To add one: a file with a subclass of `kind.Kind`, and a line in KINDS."""

from swcl_cli.catalogue.tasks import CLASSIFICATION, SEGMENTATION
from swcl_cli.tasks.classification import Classification
from swcl_cli.tasks.kind import Kind
from swcl_cli.tasks.segmentation import Segmentation

KINDS: dict[str, Kind] = {CLASSIFICATION: Classification(), SEGMENTATION: Segmentation()}
