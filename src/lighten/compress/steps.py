"""Every model step, registered by importing this module."""

from lighten.compress.distil import Distil
from lighten.compress.finetune import Finetune
from lighten.compress.frozen import Frozen
from lighten.compress.intermediate import Intermediate
from lighten.compress.layers import Layers
from lighten.compress.linear import Linear
from lighten.compress.norm import Norm
from lighten.compress.quantise import Quantise
from lighten.compress.vocabulary import Vocabulary

__all__ = ["Distil", "Finetune", "Frozen", "Intermediate", "Layers", "Linear", "Norm", "Quantise", "Vocabulary"]
