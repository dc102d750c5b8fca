"""Reads and checks ``lighten.json``, the description of a model folder."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from lighten.errors import InputError, nearest

if TYPE_CHECKING:
    from lighten.runtime.cascade_folder import Parts

DESCRIPTION = "lighten.json"
FORMAT = 1
CASCADE = "cascade"
CASCADE_FORMAT = 2
"""Of a folder with two models: an older version says that it does not read it, instead of calling it damaged."""
CLASSIFICATION, LANGUAGE, SUMMARIES = "text-classification", "language-modeling", "summarization"
TASKS = (CLASSIFICATION, LANGUAGE, SUMMARIES)
ROLES = ("serving", "training")
TOKENIZER = "tokenizer.json"


@dataclass(frozen=True)
class ModelFolder:
    """What ``lighten.json`` says, checked.

    Attributes:
        path: the folder.
        task: one of `TASKS`.
        labels: the names of the classes, in the order of the logits; none where the task has none.
        graph: the ONNX file to serve; of a cascade the second model's.
        max_tokens: the longest input in tokens, special tokens included.
        pad_token_id: fills shorter texts of a batch.
        lowercase: whether texts are lowered before the tokenizer sees them.
        threads: threads of one prediction, unless the caller says otherwise.
        spinning: whether waiting threads spin, unless the caller says otherwise.
        at_most: threads beyond which a prediction became slower where it was measured; None where nobody looked.
        plan: the steps that made the model.
        files: size, SHA-256 and role of every file but ``lighten.json`` itself.
        self_test: texts with the logits and label they must give; of a language model the next token and the
            logarithm of its probability.
        end_token_ids: a generated text ends with any of them.
        long: what becomes of texts over `max_tokens`, as `lighten.runtime.long_texts.Long` reads it; without it they
            are truncated.
        encoder: the ONNX file that reads the text, where `graph` writes a summary; else None.
        generation: how a summariser writes; see `lighten.runtime.summarize`.
        extraction: how one chooses sentences: ``words`` of a summary and ``no_repeat``, see `lighten.runtime.extract`;
            empty where it writes.
        cascade: the two models that the folder holds, and when the second one is asked; None where it is one model.
    """

    path: Path
    task: str
    labels: tuple[str, ...]
    graph: Path
    max_tokens: int
    pad_token_id: int
    lowercase: bool
    threads: int
    spinning: bool
    plan: list[Any]
    files: dict[str, dict[str, Any]]
    self_test: list[dict[str, Any]]
    end_token_ids: tuple[int, ...] = ()
    long: dict[str, Any] | None = None
    encoder: Path | None = None
    generation: dict[str, Any] = field(default_factory=dict)
    extraction: dict[str, Any] = field(default_factory=dict)
    cascade: Parts | None = None
    at_most: int | None = None

    def serving_files(self) -> list[Path]:
        """Return the files that serving needs, ``lighten.json`` included."""
        needed = [self.path / name for name, entry in self.files.items() if entry["role"] == "serving"]
        return [*needed, self.path / DESCRIPTION]

    def verify(self) -> None:
        """Compare every file with its recorded SHA-256.

        Raises:
            InputError: a file is missing or differs.
        """
        import hashlib

        check_presence(self.path, self.files, roles=ROLES)
        for name, entry in self.files.items():
            with (self.path / name).open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
            if found != entry["sha256"]:
                raise InputError(
                    f"the checksum differs: {entry['sha256'][:12]}... expected, {found[:12]}... found",
                    str(self.path / name),
                )


def read_folder(path: str | Path) -> ModelFolder:
    """Read a model folder's description; checks that every serving file is there with its size.

    Raises:
        InputError: no such folder, no or a damaged ``lighten.json``, an unknown format or task, a missing or
            truncated file.
    """
    path = Path(path)
    if not path.is_dir():
        raise InputError(
            "there is no such model folder" if not path.exists() else "a model is a folder, not a file", str(path)
        )
    content = _read(path)
    where = str(path / DESCRIPTION)
    expected = CASCADE_FORMAT if CASCADE in content else FORMAT
    if content.get("format") != expected:
        raise InputError(f"written in format {content.get('format')!r}; this version reads {expected}", where)
    task = content.get("task")
    if task not in TASKS:
        raise InputError(f"unknown task {task!r}; known are {', '.join(TASKS)}{nearest(str(task), TASKS)}", where)
    try:
        if CASCADE in content:
            from lighten.runtime.cascade_folder import parse_cascade

            return parse_cascade(path, content)
        folder = _parse(path, content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        missing = f"the key {error} is missing" if isinstance(error, KeyError) else str(error)
        raise InputError(f"the description is damaged: {missing}", where) from None
    check_presence(path, folder.files, roles=("serving",))
    for needed in (folder.graph, folder.encoder, path / TOKENIZER):
        if needed is not None and not needed.is_file():
            raise InputError("this file of the model is missing", str(needed))
    return folder


def _read(path: Path) -> dict[str, Any]:
    file = path / DESCRIPTION
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        names = sorted(item.name + "/" * item.is_dir() for item in path.iterdir())
        held = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        raise InputError(
            f"no {DESCRIPTION} here, so no model of lighten; the folder holds {held or 'nothing'}", str(path)
        ) from None
    except OSError as error:
        raise InputError(f"the description cannot be read: {error.strerror}", str(file)) from None
    except ValueError as error:
        raise InputError(f"not valid JSON: {error}", str(file)) from None
    if not isinstance(content, dict):
        raise InputError("the description is no JSON object", str(file))
    return content


def _parse(path: Path, content: dict[str, Any]) -> ModelFolder:
    language = content["task"] != CLASSIFICATION
    extraction = (content.get("extraction") or {}) if content["task"] == SUMMARIES else {}
    writes = content["task"] == SUMMARIES and not extraction
    labels = () if language else labels_in(content)
    preprocessing, runtime = content["preprocessing"], content.get("runtime") or {}
    files = files_in(content)
    for case in content.get("self_test") or []:
        check_scores(case) if extraction else check_case(case, labels, language)
    long = preprocessing.get("long")
    if long is not None and not (isinstance(long, dict) and isinstance(long.get("strategy"), str)):
        raise ValueError(f"preprocessing.long has no strategy: {long!r}")
    generation = (content.get("generation") or {}) if language else {}
    if writes:
        at_least(0, generation["start_token_id"], "generation.start_token_id")
    for key, least in (("words", 1), ("no_repeat", 0)) if extraction else ():
        at_least(least, extraction[key], f"extraction.{key}")
    ends = generation.get("end_token_ids") or []
    return ModelFolder(
        path=path,
        task=content["task"],
        labels=labels,
        graph=path / inside(content["graph"]),
        max_tokens=at_least(1, preprocessing["max_tokens"], "preprocessing.max_tokens"),
        pad_token_id=at_least(0, preprocessing["pad_token_id"], "preprocessing.pad_token_id"),
        lowercase=bool(preprocessing.get("lowercase")),
        threads=at_least(1, runtime.get("threads", 1), "runtime.threads"),
        spinning=bool(runtime.get("spinning", False)),
        plan=list(content.get("plan") or []),
        files=files,
        self_test=list(content.get("self_test") or []),
        end_token_ids=tuple(at_least(0, end, "generation.end_token_ids") for end in ends),
        long=long,
        encoder=path / inside(content["encoder"]) if writes else None,
        generation=generation,
        extraction=extraction,
        at_most=None if runtime.get("at_most") is None else at_least(1, runtime["at_most"], "runtime.at_most"),
    )


def labels_in(content: dict[str, Any]) -> tuple[str, ...]:
    """Return the labels of a description; ValueError where they are not two or more different names."""
    labels = tuple(str(label) for label in content["labels"])
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise ValueError(f"labels must be two or more different names, not {list(labels)}")
    return labels


def files_in(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the files of a description; ValueError where an entry cannot be."""
    files: dict[str, dict[str, Any]] = content["files"]
    for name, entry in files.items():
        inside(name)
        at_least(0, entry["bytes"], f"files.{name}.bytes")
        if entry["role"] not in ROLES or len(entry["sha256"]) != 64:
            raise ValueError(f"the entry of file {name!r} is {entry}")
    return files


def check_case(case: dict[str, Any], labels: tuple[str, ...], language: bool) -> None:
    """Refuse a case of the self-test that does not fit the labels, by a ValueError."""
    if language:
        if not isinstance(case["text"], str) or not isinstance(case["log_probability"], float):
            raise ValueError(f"the self-test case {case} has no text or no log_probability")
        at_least(0, case["token"], "self_test.token")
    elif case["label"] not in labels or len(case["logits"]) != len(labels) or not isinstance(case["text"], str):
        raise ValueError(f"the self-test case {case} does not fit the labels {list(labels)}")


def check_scores(case: dict[str, Any]) -> None:
    """Refuse a case of the self-test of a model that chooses sentences, by a ValueError."""
    scores = case["scores"]
    if not isinstance(case["text"], str) or not all(isinstance(score, float) for score in scores):
        raise ValueError(f"the self-test case {case} has no text, or scores that are no numbers")


def at_least(least: int, value: Any, key: str) -> int:
    """Return a whole number of at least `least`; ValueError for anything else."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{key} must be a whole number of at least {least}, not {value!r}")
    return value


def inside(name: str) -> str:
    """Return the name if it stays inside the folder: a description may come from a stranger."""
    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts or "\\" in name or not parts.parts:
        raise ValueError(f"the file name {name!r} leaves the folder")
    return name


def check_presence(path: Path, files: dict[str, dict[str, Any]], roles: tuple[str, ...]) -> None:
    """Refuse a folder that misses a file of these roles, or has one of another size, by an InputError."""
    for name, entry in files.items():
        if entry["role"] not in roles:
            continue
        try:
            size = (path / name).stat().st_size
        except OSError:
            raise InputError("this file of the model is missing", str(path / name)) from None
        if size != entry["bytes"]:
            raise InputError(f"{entry['bytes']:,} bytes expected, {size:,} found", str(path / name))
