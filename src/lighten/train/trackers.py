"""Experiment trackers as sinks: TensorBoard files and MLflow runs, beside the JSON lines that are always written.

Both stay on this machine: TensorBoard writes files, MLflow a database file in the run folder, unless the user names
a server in ``MLFLOW_TRACKING_URI``.
"""

from __future__ import annotations

import os
import re
import time
import warnings
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lighten.errors import InputError, MissingExtraError, nearest
from lighten.pipeline import digest
from lighten.pipeline.files import read_json, write_json
from lighten.train.metrics import Sink, numbers

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

TRACKERS = ("tensorboard", "mlflow")
FLUSH_SECONDS = 5
"""A killed process loses no more of TensorBoard's records than this."""
LONGEST = 250
"""Characters of a parameter that every MLflow server takes."""


def tracker(name: str, folder: Path, run: str = "training", settings: Mapping[str, Any] | None = None) -> Sink:
    """Return an experiment tracker; only the first of several processes wants one.

    Args:
        name: ``tensorboard`` or ``mlflow``.
        folder: the run folder.
        run: name of the run.
        settings: how the training was set up, to show beside its curves; nested keys are joined by dots.

    Raises:
        InputError: an unknown tracker, or one whose package is not installed.
    """
    if name == "tensorboard":
        return TensorBoard(folder / "tensorboard", settings)
    if name == "mlflow":
        return MLflow(folder, run, settings)
    raise InputError(f"{name!r} is no tracker{nearest(name, TRACKERS)}", "train.track")


class TensorBoard:
    """Event files for ``tensorboard --logdir FOLDER``.

    Args:
        folder: gets the files.
        settings: shown as a text.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any] | None = None) -> None:
        try:
            import torch.utils.tensorboard  # noqa: F401  (fails where the package tensorboard is missing)
        except ImportError:
            raise MissingExtraError("tensorboard", "track") from None
        self.folder, self.settings = folder, dict(settings or {})
        self._writer: SummaryWriter | None = None

    def resume(self, step: int) -> None:
        """Open a new file that tells readers to pass over what older ones hold from after `step`."""
        from torch.utils.tensorboard import SummaryWriter

        self.close()
        self._writer = SummaryWriter(str(self.folder), purge_step=step + 1, flush_secs=FLUSH_SECONDS)
        if not step:
            self._writer.add_text("settings", "\n".join(f"    {key}: {text}" for key, text in flat(self.settings)))

    def write(self, record: dict[str, Any]) -> None:
        """Add every number of a record as a scalar."""
        if self._writer is None:
            self.resume(0)
        assert self._writer is not None
        for name, value in numbers(record).items():
            if name != "step":
                self._writer.add_scalar(name, value, int(record["step"]))

    def close(self) -> None:
        """Write what is buffered."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class MLflow:
    """One MLflow run. A resumed training goes on in the same run, one from the beginning opens another.

    MLflow cannot take back a record. Those that a resumed training makes again are the same, so they are left out.

    Args:
        folder: the run folder: holds ``mlflow.db`` (view it with ``mlflow ui --backend-store-uri sqlite:///...``) and
            ``mlflow.json``, which remembers the run.
        run: name of the run; also that of the experiment.
        settings: logged as parameters.
    """

    def __init__(self, folder: Path, run: str, settings: Mapping[str, Any] | None = None) -> None:
        # MLflow reports its own usage unless told not to; whoever set the variable decides.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        try:
            mlflow = import_module("mlflow")
        except ImportError:
            raise MissingExtraError("mlflow", "track") from None
        folder.mkdir(parents=True, exist_ok=True)
        # Not a folder of files: newer versions refuse that kind of store.
        self.uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(folder / 'mlflow.db').resolve()}"
        self.folder, self.run, self.settings = folder, run, dict(settings or {})
        self.client = mlflow.MlflowClient(tracking_uri=self.uri)
        self.run_id = ""
        self._last: dict[str, int] = {}
        self._warned = False

    def resume(self, step: int) -> None:
        """Go on in the run of before the interruption, or open one."""
        self.run_id = (self.run_id or self._known()) if step else ""
        self._last = {}
        if not self.run_id:
            try:
                self._open()
            except Exception as error:
                raise InputError(f"MLflow opens no run: {error}", self.place) from None

    def _open(self) -> None:
        found = self.client.get_experiment_by_name(self.run)
        if found is None:
            # A server keeps artifacts where it likes; our own file must not put them into the working directory.
            place = {"artifact_location": (self.folder / "mlflow").resolve().as_uri()} if self._local else {}
            experiment = self.client.create_experiment(self.run, **place)
        else:
            experiment = found.experiment_id
        self.run_id = self.client.create_run(experiment, run_name=self.run).info.run_id
        for key, text in flat(self.settings):
            self.client.log_param(self.run_id, key, text[:LONGEST])
        # The address may hold a password: only its digest is kept.
        write_json(self.folder / "mlflow.json", {"tracking": digest(self.uri), "run_id": self.run_id})

    def write(self, record: dict[str, Any]) -> None:
        """Log every number of a record that the run does not have yet.

        A server that no longer answers costs its records, not the training: metrics.jsonl has them all.
        """
        metric = import_module("mlflow.entities").Metric
        if not self.run_id:
            self.resume(0)
        step, now = int(record["step"]), int(1000 * time.time())
        try:
            values = numbers(record).items()
            found = [
                metric(name, value, now, step) for name, value in values if name != "step" and self._new(name, step)
            ]
            if found:
                self.client.log_batch(self.run_id, metrics=found)
        except Exception as error:
            if not self._warned:
                warnings.warn(f"MLflow at {self.place} takes no records: {error}", RuntimeWarning, stacklevel=2)
            self._warned = True

    def _new(self, name: str, step: int) -> bool:
        if name not in self._last:
            history = self.client.get_metric_history(self.run_id, name)
            self._last[name] = max((entry.step for entry in history), default=-1)
        return step > self._last[name]

    def close(self) -> None:
        """Mark the run as finished."""
        if self.run_id:
            self.client.set_terminated(self.run_id, "FINISHED")

    @property
    def place(self) -> str:
        """The address without what may be a name and a password."""
        return re.sub(r"//[^/@]*@", "//", self.uri)

    @property
    def _local(self) -> bool:
        return self.uri.startswith("sqlite:")

    def _known(self) -> str:
        try:
            known = read_json(self.folder / "mlflow.json")
        except (OSError, ValueError):
            return ""
        return str(known["run_id"]) if known.get("tracking") == digest(self.uri) else ""


def flat(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested settings as pairs of a dotted key and a text."""
    found: list[tuple[str, str]] = []
    for key, value in settings.items():
        name = f"{prefix}{key}"
        found += flat(value, f"{name}.") if isinstance(value, Mapping) else [(name, str(value))]
    return found
