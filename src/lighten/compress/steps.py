"""Every model step, registered by importing this module."""

from lighten.compress.distil import Distil
from lighten.compress.extend import Extend
from lighten.compress.factorise import Factorise
from lighten.compress.finetune import Finetune
from lighten.compress.frozen import Frozen
from lighten.compress.intermediate import Intermediate
from lighten.compress.layers import Layers
from lighten.compress.linear import Linear
from lighten.compress.ngrams import Ngrams
from lighten.compress.norm import Norm
from lighten.compress.qat import QuantisationAwareTraining
from lighten.compress.quantise import Quantise
from lighten.compress.sparse import Sparsify
from lighten.compress.static import StaticEmbeddings
from lighten.compress.student import Student
from lighten.compress.tune_language import DistilLanguage, FinetuneLanguage
from lighten.compress.vocabulary import Vocabulary
from lighten.compress.width import Width

__all__ = [
    "Distil",
    "DistilLanguage",
    "Extend",
    "Factorise",
    "Finetune",
    "FinetuneLanguage",
    "Frozen",
    "Intermediate",
    "Layers",
    "Linear",
    "Ngrams",
    "Norm",
    "QuantisationAwareTraining",
    "Quantise",
    "Sparsify",
    "StaticEmbeddings",
    "Student",
    "Vocabulary",
    "Width",
]
