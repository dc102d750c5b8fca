"""What `build`, `train`, `compress` and `prepare` return: read-only views of what lies in the run folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Candidate = dict[str, Any]


class _Outcome(Mapping[str, Any]):
    """A read-only view of the document in a run folder.

    Args:
        folder: the run folder.
        content: the content of its ``result.json``, of a preparation ``data.json``.
    """

    def __init__(self, folder: Path, content: Mapping[str, Any]) -> None:
        self.folder, self._content = folder, dict(content)

    @property
    def model_folder(self) -> Path:
        """The folder of the model."""
        return self.folder / "model"

    @property
    def report(self) -> Path:
        """The page to read."""
        return self.folder / "report.html"

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``result.json``."""
        return dict(self._content)

    def __getitem__(self, key: str) -> Any:
        return self._content[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.folder)!r}: {self['sentence']})"


class Result(_Outcome):
    """The outcome of a build: a read-only view of ``result.json``, with names for what is asked most.

    ``result["comparison"]["speedup_batch1"]`` works for everything the file holds. `model_folder` is the folder to
    deploy; give it to `lighten.load`.
    """

    @classmethod
    def read(cls, folder: str | Path) -> Result:
        """Read the result of a finished run.

        Raises:
            InputError: the folder holds none.
        """
        from lighten.pipeline.result import read

        return cls(Path(folder), read(folder))

    @property
    def fits(self) -> bool:
        """Whether the chosen model keeps every limit."""
        return bool(self["verdict"] == "fits")

    @property
    def verdict(self) -> str:
        """``"fits"`` or ``"infeasible"``."""
        return str(self["verdict"])

    @property
    def binding_limit(self) -> str | None:
        """The limit that nothing could meet; None when the verdict is `fits`."""
        name: str | None = self["binding_limit"]
        return name

    @property
    def chosen(self) -> Candidate | None:
        """The chosen model, or the nearest miss; None where nothing could be measured."""
        found: Candidate | None = self["chosen"]
        return found

    @property
    def reference(self) -> Candidate | None:
        """The fine-tuned model that everything is compared with."""
        found: Candidate | None = self["reference"]
        return found

    @property
    def candidates(self) -> list[Candidate]:
        """Every model that was considered."""
        return list(self["candidates"])

    @property
    def frontier(self) -> list[dict[str, Any]]:
        """The measured models that no other beats in quality, latency, size and memory together, the simplest first.

        Empty for a result of a version that did not look for them.
        """
        return list(self.get("frontier", []))


class TrainResult(_Outcome):
    """The outcome of a training: a read-only view of its ``result.json``.

    `model_folder` is the checkpoint: an ordinary folder of transformers.
    """

    @classmethod
    def read(cls, folder: str | Path) -> TrainResult:
        """Read the result of a finished training.

        Raises:
            InputError: the folder holds none.
        """
        from lighten.pipeline.training_result import read_training

        return cls(Path(folder), read_training(folder))

    @property
    def quality(self) -> dict[str, Any]:
        """The metric on validation and on the sealed test, with intervals."""
        return dict(self["quality"])


class Compression(_Outcome):
    """The outcome of a compression: a read-only view of its ``result.json``.

    `model_folder` is the folder to deploy; give it to `lighten.load`.
    """

    @classmethod
    def read(cls, folder: str | Path) -> Compression:
        """Read the result of a finished compression.

        Raises:
            InputError: the folder holds none.
        """
        from lighten.pipeline.compression_result import read_compression

        return cls(Path(folder), read_compression(folder))

    @property
    def fits(self) -> bool:
        """Whether the last model keeps every limit of the recipe; true where it has none."""
        return self["missed_limit"] is None

    @property
    def steps(self) -> list[dict[str, Any]]:
        """The model after every step, the reference first: quality on validation, latency, size, memory, seconds."""
        return list(self["steps"])


class Prepared(_Outcome):
    """The outcome of a preparation: a read-only view of its ``data.json``.

    The splits lie in `folder`: ``train``, ``validation``, ``test`` and maybe ``unlabelled``, in the format asked for.
    """

    @property
    def steps(self) -> list[dict[str, Any]]:
        """What every step did to every part: rows in and out, edits by kind, seconds, examples."""
        return list(self["steps"])

    @property
    def rejected(self) -> Path:
        """The rows that are in no split, with the reason; the file is there if there are such rows."""
        return self.folder / "rejected.jsonl"
