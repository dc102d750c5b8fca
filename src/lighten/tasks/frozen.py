"""The answers of frozen layers, kept on disk for one training: whether, in which number format, and the rows."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lighten.errors import InputError
from lighten.models.freeze import layers_of
from lighten.models.layout import LAYOUTS
from lighten.models.long_texts import Fitted
from lighten.tasks.job import Job
from lighten.tasks.settings import kept_choice
from lighten.train.activations import bottom_seconds, cache_activations, sweep, why_not_cache
from lighten.train.datasets.cached import CachedRows
from lighten.train.precision import Precision, choose

FOLDER = "activations"
CLOCK_SHARE = 0.25
"""Of the time left on a clock that computing the activations may take."""
CACHED = ("train", "validation")
"""Parts that are looked at more than once."""


class Frozen:
    """The cached activations of one job.

    Args:
        job: of the user.
        texts: of all parts, fitted to the model.
        pad_id: the padding token.
        width: of the hidden states.
    """

    def __init__(self, job: Job, texts: Mapping[str, Fitted], pad_id: int, width: int) -> None:
        self.job, self.texts, self.pad_id, self.width = job, texts, pad_id, width
        self.layers = job.recipe.train.freeze
        self.precision = Precision("fp32", "not asked for")
        self.seconds = 0.0
        """What computing them will take, where it had to be known."""
        self._rows: dict[str, CachedRows] = {}

    def wanted(self, model: Any) -> bool:
        """Return whether the frozen bottom runs only once: as the first attempt and the first process have decided.

        Args:
            model: whole, as it starts.

        Raises:
            InputError: the recipe insists on a cache that cannot be.
        """
        train, job = self.job.recipe.train, self.job
        if not train.freeze or train.cache is False:
            return False
        found = job.group.first(lambda: kept_choice(job, "frozen", lambda: self._decide(model)))
        if found["reason"] is not None:
            job.progress.note(f"frozen layers run in every epoch: {found['reason']}")
            return False
        self.precision, self.seconds = Precision(**found["precision"]), float(found["seconds"])
        return True

    def _decide(self, model: Any) -> dict[str, Any]:
        job, train = self.job, self.job.recipe.train
        reason = self._obstacle(model)
        found: dict[str, Any] = {"reason": reason, "precision": None, "seconds": 0.0}
        if reason is None:
            chosen = choose(train.precision, self.width, device=job.strategy.device)
            found["precision"] = vars(chosen)
            if job.only_plan or job.clock.budget is not None:
                encoded = [ids for part in CACHED for ids in self.texts[part].encoded]
                found["seconds"] = self._placed(
                    model, lambda: bottom_seconds(model, encoded, self.pad_id, self.layers, chosen)
                )
            if found["seconds"] > CLOCK_SHARE * job.clock.left:
                reason = f"computing them once would take {found['seconds']:.0f} of the {job.clock.left:.0f} s left"
        if reason is not None and train.cache is True:
            raise InputError(reason, "train.cache")
        return {**found, "reason": reason}

    def _obstacle(self, model: Any) -> str | None:
        """Return why there can be no cache, whatever time there is."""
        if model.config.model_type not in LAYOUTS:
            return f"model type {model.config.model_type!r} cannot be cut"
        if self.layers >= len(layers_of(model)):
            return "no layer is left to train"
        if self.job.recipe.train.length_warmup:
            return "texts that are cut change the activations"
        tokens = sum(len(ids) for part in CACHED for ids in self.texts[part].encoded)
        return why_not_cache(tokens, self.width, self.job.work)

    def rows(self, part: str, model: Callable[[], Any]) -> CachedRows:
        """Return a part as the activations of the frozen layers; the first process computes them.

        A plan has no use for their values: its rows have the right lengths and widths.

        Args:
            part: of the data.
            model: returns the whole one, as it starts.
        """
        if part not in self._rows:
            if self.job.only_plan:
                self._rows[part] = self._stand_in(part)
            else:
                self._rows[part] = self.job.group.first(lambda: self._computed(part, model()))
        return self._rows[part]

    def _computed(self, part: str, model: Any) -> CachedRows:
        with self.job.progress.stage(f"activations of the frozen layers, {part}") as stage:
            return self._placed(
                model,
                lambda: cache_activations(
                    model,
                    self.texts[part].encoded,
                    self.pad_id,
                    self.layers,
                    self.job.work / FOLDER,
                    self.precision,
                    stage=stage,
                    tick=self.job.tick,
                ),
            )

    def _placed(self, model: Any, work: Callable[[], Any]) -> Any:
        """Do some work with the model on the device of the process, and put it back."""
        home = next(model.parameters()).device
        model.to(self.job.strategy.device)
        try:
            return work()
        finally:
            model.to(home)

    def _stand_in(self, part: str) -> CachedRows:
        starts = np.concatenate([[0], np.cumsum([len(ids) for ids in self.texts[part].encoded])]).astype(np.int64)
        token = np.random.default_rng(0).standard_normal((1, self.width), np.float32)
        return CachedRows(np.broadcast_to(token, (int(starts[-1]), self.width)), starts)


def forget_activations(work: Path) -> None:
    """Remove what was cached for a training: it may be many gigabytes, and the next one may freeze other layers."""
    shutil.rmtree(work / FOLDER, ignore_errors=True)


def forget_leftovers(work: Path) -> None:
    """Remove what an attempt that was killed has half written; the caller holds the run folder."""
    sweep(work / FOLDER)
