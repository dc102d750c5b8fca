"""Which of the teacher's inner features a student learns from, and where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lighten.compress.answers import TeacherAnswers
from lighten.compress.features import Side, Wanted
from lighten.compress.fit import padding_id
from lighten.compress.labels import all_texts
from lighten.compress.step import Context
from lighten.errors import InputError
from lighten.models.load import load_classifier, suit_attention
from lighten.train.objectives.capture import FeatureSource
from lighten.train.objectives.inner_distillation import AttentionTerm, RelationsTerm, StatesTerm, Term
from lighten.train.objectives.matching import Pairs, map_layers
from lighten.train.objectives.relations import relation_heads
from lighten.train.objectives.teachers import CachedFeatures, OnlineFeatures

if TYPE_CHECKING:
    from lighten.compress.distil import Distil

STEP = "step 'distil'"


def teacher_side(answers: TeacherAnswers) -> Side:
    """Read it out of what was noted with the answers."""
    layers, width, heads = (int(answers.note[key]) for key in ("layers", "hidden", "heads"))
    return Side(layers, width, heads, apart=bool(answers.note.get("apart", True)))


@dataclass(frozen=True)
class Plan:
    """What is matched, as pairs of layers of student and teacher.

    Attributes:
        last_states: the last hidden states of both, of the same width.
        states: hidden states besides, or instead.
        relations: of queries, keys and values.
        attention: attention maps.
        demanded: what the step's fields ask for in so many words; the rest is done where it can be.
        wanted: what a cache of the teacher must hold.
    """

    last_states: bool
    states: Pairs
    relations: Pairs
    attention: Pairs
    demanded: str
    wanted: Wanted

    @property
    def any(self) -> bool:
        """Whether anything but the last states is matched."""
        return bool(self.states or self.relations or self.attention)

    @property
    def layers(self) -> tuple[list[int], list[int]]:
        """Return the teacher's layers whose states, and whose queries, keys and values, are compared."""
        states = sorted({other for _, other in self.states})
        return states, sorted({other for _, other in (*self.relations, *self.attention)})


def plan_inner(step: Distil, student: Side, teacher: Side) -> Plan:
    """Decide what is matched, by the shapes alone.

    Raises:
        InputError: a layer that one of them does not have, or layers whose states nothing can compare.
    """
    same = student.width == teacher.width
    chosen = step.layers != "last"
    pairs = map_layers(step.layers, student.layers, teacher.layers)
    matched = step.states_weight > 0 and (same or step.projection)
    last = matched and same and not chosen
    states = pairs if matched and not last else ()
    if chosen and not states and not step.attention_weight:
        raise InputError(
            f"layers: states {student.width} wide cannot be compared with the teacher's {teacher.width}; "
            "set projection: true, or leave layers out",
            STEP,
        )
    apart = student.apart and teacher.apart
    relate = step.relations is True or (step.relations == "auto" and not same and apart)
    relations = ((student.layers, _relation_layer(step, teacher)),) if relate else ()
    attention = pairs if step.attention_weight else ()
    if any(own == 0 or other == 0 for own, other in attention):
        raise InputError("embeddings (layer 0) have no attention maps", STEP)
    if (relate or attention) and not apart:
        who = "teacher" if student.apart else "student"
        raise InputError(f"relations and attention maps: the {who}'s queries, keys and values are one module's", STEP)
    demanded = [word for word, yes in (("states", states), ("attention maps", attention)) if yes]
    demanded += ["relations"] if step.relations is True else []
    features = [] if step.online is True else [pairs for pairs in (relations, attention) if pairs]
    kept = tuple(sorted({other for _, other in states})) if step.online is not True else ()
    wanted = Wanted((*kept, *((-1,) if last else ())), tuple(sorted({o for p in features for _, o in p})))
    return Plan(last, states, relations, attention, " and ".join(demanded), wanted)


def _relation_layer(step: Distil, teacher: Side) -> int:
    """Return the teacher's layer to take relations from: of deep teachers not the last, as in the paper's ablation."""
    if step.relation_layer is None:
        return teacher.layers if teacher.layers <= 12 else round(teacher.layers * 7 / 8)
    if step.relation_layer > teacher.layers:
        raise InputError(f"relation_layer: the teacher has {teacher.layers} layers, not {step.relation_layer}", STEP)
    return step.relation_layer


def inner_terms(step: Distil, plan: Plan, student: Side, teacher: Side, seed: int) -> list[Term]:
    """Return what is compared, weighted as the step says."""
    terms: list[Term] = []
    if plan.states:
        terms.append(StatesTerm(plan.states, step.states_weight, (student.width, teacher.width), seed))
    if plan.relations:
        heads = step.relation_heads or relation_heads(student.width, teacher.width)
        terms.append(RelationsTerm(plan.relations, step.relations_weight, heads))
    if plan.attention:
        heads_of = (student.heads, teacher.heads)
        terms.append(AttentionTerm(plan.attention, step.attention_weight, heads_of, step.attention_loss))
    return terms


@dataclass(frozen=True)
class Inside:
    """The teacher's features, and whether it runs beside the student."""

    source: FeatureSource
    online: bool


def feature_source(step: Distil, plan: Plan, teacher: TeacherAnswers, context: Context) -> Inside | None:
    """Return where the teacher's features come from; None where nothing asked for them and they cannot be had.

    Raises:
        InputError: they were asked for, and are neither cached nor can the teacher run.
    """
    states, qkv = plan.layers
    cached = all(layer in teacher.layer_states for layer in states) and all(layer in teacher.qkv for layer in qkv)
    if cached and step.online is not True:
        kept = {layer: teacher.layer_states[layer] for layer in states}
        return Inside(CachedFeatures(teacher.starts, kept, {layer: teacher.qkv[layer] for layer in qkv}), False)
    if step.online is False or context.teacher_model is None:
        if not plan.demanded and step.online is not True:
            return None
        what = plan.demanded or "relations"
        raise InputError(
            f"{what}: the teacher's layers {', '.join(map(str, sorted({*states, *qkv})))} are not in the cache and "
            + ("online is false" if step.online is False else "its checkpoint is not at hand"),
            STEP,
        )
    model = load_classifier(context.teacher_model, context.labels, context.seed)
    encoded = context.encode(context.teacher_model, all_texts(context))
    suit_attention(model, max(len(ids) for ids in encoded))
    return Inside(OnlineFeatures(model, encoded, padding_id(model), states, qkv), True)
