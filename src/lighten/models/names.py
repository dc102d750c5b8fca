"""The names that model types give to the parts of an encoder.

Supported are the post-norm encoders with absolute positions that transformers calls bert, roberta, xlm-roberta,
camembert, electra and distilbert; and modernbert (Warner et al. 2024): pre-norm, with rotary positions, gated neurons
and local layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Names:
    """The names of one model type: of tensors (``{i}`` is the layer) and of the keys in its config."""

    prefix: str
    layer: str
    query: str
    key: str
    value: str
    attention_out: str
    attention_norm: str
    up: str
    down: str
    norm: str
    head: tuple[tuple[str, str], ...]
    """The dense layers after the encoder: (tensor name, activation)."""
    position_offset: int = 0
    """Rows of the position table before the first token's (RoBERTa counts from the padding id + 1)."""
    token_types: bool = True
    config: tuple[tuple[str, str], ...] = ()
    """This type's spelling of the standard config keys."""
    words: str = "embeddings.word_embeddings"
    embeddings_norm: str = "embeddings.LayerNorm"
    final_norm: str = ""
    """Behind the last layer, where layers norm what they read (pre-norm): `attention_norm` and `norm` are in front."""
    head_norm: str = ""
    """Behind the activation of the head's first layer."""

    @property
    def pre_norm(self) -> bool:
        """Whether layers norm what they read, not what they write; positions are rotary then, and neurons gated."""
        return bool(self.final_norm)

    @property
    def fused(self) -> bool:
        """Whether query, key and value are one matrix."""
        return self.query == self.key

    @property
    def head_modules(self) -> list[str]:
        """The modules that a new head consists of."""
        return [*(name for name, _ in self.head), *([self.head_norm] if self.head_norm else [])]

    def key_of(self, standard: str) -> str:
        """Return this type's config key for a standard one such as ``num_hidden_layers``."""
        return dict(self.config).get(standard, standard)


_BERT_LAYER: dict[str, Any] = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention_out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "norm": "output.LayerNorm",
}
_ROBERTA = Names(
    prefix="roberta.",
    layer="encoder.layer.{i}.",
    head=(("classifier.dense", "tanh"), ("classifier.out_proj", "")),
    position_offset=2,
    **_BERT_LAYER,
)
LAYOUTS: dict[str, Names] = {
    "bert": Names(
        prefix="bert.",
        layer="encoder.layer.{i}.",
        head=(("bert.pooler.dense", "tanh"), ("classifier", "")),
        **_BERT_LAYER,
    ),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "electra": Names(
        prefix="electra.",
        layer="encoder.layer.{i}.",
        head=(("classifier.dense", "gelu"), ("classifier.out_proj", "")),
        **_BERT_LAYER,
    ),
    "distilbert": Names(
        prefix="distilbert.",
        layer="transformer.layer.{i}.",
        query="attention.q_lin",
        key="attention.k_lin",
        value="attention.v_lin",
        attention_out="attention.out_lin",
        attention_norm="sa_layer_norm",
        up="ffn.lin1",
        down="ffn.lin2",
        norm="output_layer_norm",
        head=(("pre_classifier", "relu"), ("classifier", "")),
        token_types=False,
        config=(
            ("hidden_size", "dim"),
            ("num_hidden_layers", "n_layers"),
            ("num_attention_heads", "n_heads"),
            ("intermediate_size", "hidden_dim"),
            ("hidden_act", "activation"),
        ),
    ),
    "modernbert": Names(
        prefix="model.",
        layer="layers.{i}.",
        query="attn.Wqkv",
        key="attn.Wqkv",
        value="attn.Wqkv",
        attention_out="attn.Wo",
        attention_norm="attn_norm",
        up="mlp.Wi",
        down="mlp.Wo",
        norm="mlp_norm",
        head=(("head.dense", "gelu"), ("classifier", "")),
        token_types=False,
        config=(("hidden_act", "hidden_activation"),),
        words="embeddings.tok_embeddings",
        embeddings_norm="embeddings.norm",
        final_norm="final_norm",
        head_norm="head.norm",
    ),
}
"""By ``model_type``."""
