"""Which layers a model can do without, found by leaving them out: forward passes alone, no training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from lighten.compress.judge import Judge
from lighten.compress.judge_language import LanguageJudge
from lighten.compress.step import Context
from lighten.models.auto import load_auto
from lighten.models.checkpoint import read_config
from lighten.models.decoder.layout import is_decoder
from lighten.models.load import load_classifier
from lighten.models.slicing import STATIC_MAPS, layer_map
from lighten.models.stack import place_of


class LayerScores:
    """Judges selections of layers of one model; each is run once.

    Args:
        source: checkpoint of the model.
        context: texts and labels.
        texts: texts to judge on.
    """

    def __init__(self, source: Path, context: Context, texts: int) -> None:
        language = is_decoder(read_config(source))
        self.model = (
            load_auto(source, "causal", seed=context.seed)
            if language
            else load_classifier(source, context.labels, context.seed)
        )
        self.parent, self.name = place_of(self.model)
        self.stack: torch.nn.ModuleList = getattr(self.parent, self.name)
        self.judge = LanguageJudge(source, context, texts) if language else Judge(source, self.model, context, texts)
        self.context = context
        self.known: dict[tuple[int, ...], float] = {}

    def score(self, kept: Sequence[int]) -> float:
        """Return the score of the model with these layers alone; less is better."""
        key = tuple(kept)
        if key not in self.known:
            setattr(self.parent, self.name, torch.nn.ModuleList([self.stack[index] for index in key]))
            try:
                self.known[key] = self.judge.score(self.model)
            finally:
                setattr(self.parent, self.name, self.stack)
        return self.known[key]

    def greedy(self, count: int) -> tuple[list[int], dict[str, Any]]:
        """Leave out one layer after the other, each time the one that is missed least.

        Returns:
            The `count` layers that are left, and the scores: of the whole model, and after each removal.
        """
        kept, dropped = list(range(len(self.stack))), []
        rounds = len(kept) * (len(kept) + 1) // 2 - count * (count + 1) // 2
        whole, done = self.score(kept), 0
        with self.context.progress.stage("layers left out one by one", total=rounds) as stage:
            while len(kept) > count:
                tried = []
                for layer in kept:
                    tried.append((self.score([other for other in kept if other != layer]), layer))
                    done += 1
                    stage.update(done)
                score, layer = min(tried)
                kept.remove(layer)
                dropped.append({"layer": layer, "score": score})
        return kept, {**self._facts(), "whole": whole, "dropped": dropped}

    def search(self, count: int) -> tuple[list[int], dict[str, Any]]:
        """Try every fixed map and the greedy one.

        Returns:
            The `count` layers with the best score, and the scores of all.
        """
        greedy, facts = self.greedy(count)
        tried = {name: layer_map(len(self.stack), count, name) for name in STATIC_MAPS} | {"importance": greedy}
        scores = {name: self.score(kept) for name, kept in tried.items()}
        best = min(scores, key=lambda name: scores[name])
        maps = {name: {"kept": kept, "score": scores[name]} for name, kept in tried.items()}
        return tried[best], {**facts, "map": best, "scores": maps}

    def _facts(self) -> dict[str, Any]:
        return {"measure": self.judge.measure, "texts": self.judge.texts}
