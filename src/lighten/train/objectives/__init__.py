"""What training minimises: one objective per file."""

from lighten.train.objectives.causal import CausalLanguageModel
from lighten.train.objectives.classification import Classification, class_weights
from lighten.train.objectives.distillation import Distillation
from lighten.train.objectives.extraction import Extraction
from lighten.train.objectives.inner_distillation import InnerDistillation
from lighten.train.objectives.language_distillation import LanguageDistillation, OnlineTeacher
from lighten.train.objectives.masked import MaskedLanguageModel
from lighten.train.objectives.multilabel import MultiLabel, positive_weights
from lighten.train.objectives.objective import Objective, Outputs, RowObjective, forward
from lighten.train.objectives.pooled import Pooled
from lighten.train.objectives.seq2seq import SequenceToSequence
from lighten.train.objectives.stream import CausalStream

__all__ = [
    "CausalLanguageModel",
    "CausalStream",
    "Classification",
    "Distillation",
    "Extraction",
    "InnerDistillation",
    "LanguageDistillation",
    "MaskedLanguageModel",
    "MultiLabel",
    "Objective",
    "OnlineTeacher",
    "Outputs",
    "Pooled",
    "RowObjective",
    "SequenceToSequence",
    "class_weights",
    "forward",
    "positive_weights",
]
