"""Published shapes of small encoders.

The shapes alone, not the weights: DistilBERT (Sanh et al. 2019), TinyBERT (Jiao et al. 2020), MiniLM (Wang et al.
2020), and the small BERTs of "Well-Read Students Learn Better" (Turc et al. 2019). Small relatives of ModernBERT are
not among them: rotary positions, norms in front and gated feed-forward layers make them another kind of network.
"""

from __future__ import annotations

from typing import Literal

from lighten.models.width import Size

Preset = Literal[
    "distilbert",
    "tinybert-4",
    "tinybert-6",
    "minilm-6",
    "minilm-12",
    "bert-tiny",
    "bert-mini",
    "bert-small",
    "bert-medium",
]

PRESETS: dict[Preset, Size] = {
    "distilbert": Size(layers=6, hidden=768, heads=12, ffn=3072),
    "tinybert-4": Size(layers=4, hidden=312, heads=12, ffn=1200),
    "tinybert-6": Size(layers=6, hidden=768, heads=12, ffn=3072),
    "minilm-6": Size(layers=6, hidden=384, heads=12, ffn=1536),
    "minilm-12": Size(layers=12, hidden=384, heads=12, ffn=1536),
    "bert-tiny": Size(layers=2, hidden=128, heads=2, ffn=512),
    "bert-mini": Size(layers=4, hidden=256, heads=4, ffn=1024),
    "bert-small": Size(layers=4, hidden=512, heads=8, ffn=2048),
    "bert-medium": Size(layers=8, hidden=512, heads=8, ffn=2048),
}
