"""The section ``train``: how a model is trained, by ``lighten train`` and by ``lighten plan``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lighten.recipe.parallel import Parallel
from lighten.recipe.section import Section

Rate = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Weight = Annotated[float, Field(ge=0)]


class Lora(Section):
    """Trains small matrices beside the frozen weights and adds them up at the end (Hu et al. 2021)."""

    rank: int = Field(default=8, ge=1, le=1024)
    """Inner dimension of the small matrices."""
    alpha: float = Field(default=16.0, gt=0)
    """Their product is scaled by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout before them."""
    targets: list[str] | Literal["auto"] = "auto"
    """Ends of the names of the linear layers they go beside; ``auto`` takes those of the attention."""

    @model_validator(mode="after")
    def _consistent(self) -> Lora:
        if not self.targets:
            raise ValueError("train.lora.targets: expected one name or more, or auto; got an empty list")
        return self


class Train(Section):
    """How to train; everything has a good default. The clock is ``budget.build_minutes``, where it is given."""

    objective: Literal["auto", "masked", "causal", "extractive"] = "auto"
    """What a language model predicts: ``masked`` or ``causal`` tokens; ``auto`` follows the model. Of summaries,
    ``extractive`` lets an encoder choose sentences; otherwise an encoder-decoder learns to write."""
    from_scratch: bool = False
    """Start from random weights: the model folder needs config.json and a tokenizer only."""
    from_encoder: bool = False
    """For summaries: the model is an encoder (BERT, RoBERTa); encoder and decoder both start from it."""
    epochs: float | None = Field(default=None, gt=0)
    """Passes over the data at most; when left out 3, or no limit where ``budget.build_minutes`` is given."""
    learning_rate: Rate | Literal["auto", "probe"] = "auto"
    """Peak of the schedule; ``auto`` follows model and method, ``probe`` runs a range test first."""
    schedule: Literal["linear", "cosine", "one-minus-sqrt", "wsd", "plateau", "constant"] = "linear"
    """How the rate falls; tied to the share of the clock or of the epochs that is used."""
    warmup: float = Field(default=0.06, ge=0, le=0.5)
    """Share of the training in which the rate rises."""
    decay: float = Field(default=0.2, ge=0, le=1)
    """Share at the end in which ``wsd`` and ``plateau`` fall to zero."""
    optimizer: Literal["adamw", "schedule-free"] = "adamw"
    """``schedule-free`` averages weights instead of lowering the rate; its schedule is ``constant``."""
    weight_decay: float = Field(default=0.01, ge=0, lt=1)
    """On matrices only."""
    clip: float = Field(default=1.0, gt=0)
    """Largest norm of the gradient."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """In every layer that has one."""
    tokens_per_batch: Count | Literal["auto"] = "auto"
    """Tokens per optimiser step, padding included, over all processes."""
    micro_tokens: Count | Literal["auto"] | None = "auto"
    """Tokens per forward pass; larger steps are accumulated. ``auto`` is what fits in memory, null is all."""
    max_tokens: int | None = Field(default=None, ge=3, le=1_000_000)
    """Longest text in tokens, special tokens included; the model's limit when left out, for summaries 1,024 at most
    where the model attends fully."""
    long: Literal["truncate", "head-tail", "sentences", "textrank", "chunk", "chunk-max", "hierarchical"] = "truncate"
    """What becomes of longer texts: their beginning, beginning and end, best sentences, or all of it in chunks; with
    ``hierarchical`` the chunks are trained together, on the label of their text."""
    class_weights: Literal["none", "balanced"] | dict[str, Weight] = "none"
    """Weight of each label in the loss; ``balanced`` is the inverse of its frequency; or label: weight, others 1."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of the target that is spread over all classes."""
    mask_probability: float = Field(default=0.15, gt=0, lt=1)
    """Share of the tokens that masked language modelling hides."""
    segment: int | None = Field(default=None, ge=2)
    """Tokens per segment of truncated back-propagation through time over one long stream (causal only)."""
    memory: int | None = Field(default=None, ge=1)
    """Tokens before a segment whose detached states it may look at; as many as `segment` when left out."""
    block: int | None = Field(default=None, ge=8)
    """Tokens per row of a language model, texts packed one after the other; the model's limit when left out."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Format of matrix products; ``auto`` times them on this device and says why."""
    held_out_tokens: Count | Literal["auto", "all"] = "auto"
    """Tokens of a language model's look, twice that in the test; ``auto``: 4,000 for each minute of the clock."""
    validations_per_epoch: float = Field(default=2.0, gt=0, le=1000)
    """Looks at the validation split."""
    patience: int | None = Field(default=None, ge=1)
    """Looks without a new best before stopping early, in the second half; null never stops early."""
    cooldown: float = Field(default=0.1, ge=0, le=1)
    """After an early stop, share of the steps done in which the rate still falls to zero."""
    restore_margin: float | None = Field(default=None, ge=0)
    """By how much an earlier state must beat the last one to be kept instead: points, or loss; the task chooses."""
    soup: int | Literal["auto"] = "auto"
    """Trainings under the one clock whose weights are averaged; ``auto`` follows the clock, 1 is the usual one."""
    freeze: int = Field(default=0, ge=0, le=1000)
    """Layers at the bottom that stay as they are, the embeddings with them."""
    cache: bool | Literal["auto"] = "auto"
    """Compute the output of the frozen layers once and keep it on disk."""
    lora: Lora | None = None
    """Train small matrices instead of the weights."""
    gradient_checkpointing: bool = False
    """Compute activations a second time instead of keeping them: less memory, slower: each forward pass twice."""
    norm: Literal["layer", "none", "batch"] = "layer"
    """``none`` and ``batch`` replace the norms of the layers by ones that fold into linear layers at export."""
    order: Literal["shuffled", "curriculum", "importance"] = "shuffled"
    """``curriculum`` goes from easy to hard, ``importance`` draws by weight."""
    order_column: str | None = None
    """Column with the difficulty or the weight; a curriculum without one goes by length."""
    length_warmup: float = Field(default=0.0, ge=0, le=1)
    """Share of the training in which the length limit rises to its full value."""
    checkpoint_seconds: float = Field(default=30.0, ge=0)
    """Shortest time between two checkpoints: what a crash may cost."""
    recoveries: int = Field(default=3, ge=0, le=100)
    """How often to go back to the last good state, at half the rate, when the loss has run away."""
    track: list[Literal["tensorboard", "mlflow"]] = Field(default_factory=list)
    """Experiment trackers to write to; metrics.jsonl is always written."""
    parallel: Parallel = Parallel()

    @model_validator(mode="before")
    @classmethod
    def _schedule_of_the_optimizer(cls, content: Any) -> Any:
        # Filled in before validation, so that a resolved recipe says what happens and reads as itself.
        if isinstance(content, dict) and content.get("optimizer") == "schedule-free":
            return {"schedule": "constant", **content}
        return content

    @model_validator(mode="after")
    def _consistent(self) -> Train:
        for problem in self._problems():
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterator[str]:
        yield from self._problems_of_rate()
        yield from self._problems_of_batches()
        yield from self._problems_of_method()
        yield from self._problems_of_soup()

    def _problems_of_rate(self) -> Iterator[str]:
        if self.optimizer == "schedule-free" and self.schedule != "constant":
            yield f"train.schedule: leave it out, schedule-free has its own (constant); got {self.schedule!r}"
        if self.optimizer == "schedule-free" and self.learning_rate == "probe":
            yield "train.learning_rate: probe does not know the optimizer schedule-free; give a number or auto"
        if self.schedule in ("wsd", "plateau") and self.warmup + self.decay > 1:
            yield f"train: warmup and decay together are at most 1; got {self.warmup} and {self.decay}"
        if len(set(self.track)) < len(self.track):
            yield f"train.track: each tracker once; got {self.track}"

    def _problems_of_batches(self) -> Iterator[str]:
        step, micro = self.tokens_per_batch, self.micro_tokens
        if isinstance(step, int) and isinstance(micro, int) and micro > step:
            yield f"train.micro_tokens: at most tokens_per_batch ({step}); got {micro}"
        weights = self.class_weights
        if isinstance(weights, dict) and not any(weights.values()):
            yield f"train.class_weights: at least one weight is above 0; got {weights}"
        if self.order == "importance" and self.order_column is None:
            yield "train.order_column: the order importance needs the name of the column with the weights"
        if self.order == "shuffled" and self.order_column is not None:
            yield f"train.order_column: the order shuffled reads no column; got {self.order_column!r}"

    def _problems_of_soup(self) -> Iterator[str]:
        if self.soup == "auto":
            return
        if not 1 <= self.soup <= 64:
            yield f"train.soup: between 1 and 64 trainings, or auto; got {self.soup}"
        if self.soup > 1 and self.lora is not None:
            yield "train.soup: the small matrices of lora cannot be averaged one by one; leave out one of the two"
        if self.soup > 1 and self.from_scratch:
            yield "train.soup: trainings from random weights have nothing in common to average; leave it out"

    def _problems_of_method(self) -> Iterator[str]:
        if self.segment is not None and self.objective == "masked":
            yield "train.segment: truncated back-propagation over a stream needs the objective causal; got 'masked'"
        if self.memory is not None and self.segment is None:
            yield f"train.memory: needs train.segment; got memory {self.memory} alone"
        if self.segment is not None and self.block is not None:
            yield "train: segment and block exclude each other; a stream of segments is packed already"
        if self.segment is not None and self.length_warmup:
            yield "train: segment and length_warmup exclude each other; segments of a stream are of one length"
        if self.lora is not None and self.freeze:
            yield "train: lora and freeze exclude each other; lora freezes every weight already"
        if self.cache is True and not self.freeze:
            yield "train.cache: only frozen layers can be computed once; set train.freeze"
        if self.from_scratch and (self.freeze or self.lora is not None):
            yield "train.from_scratch: random weights that stay frozen learn nothing; leave out freeze and lora"
