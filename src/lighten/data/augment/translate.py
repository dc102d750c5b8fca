"""Back-translation as a hook: a translator of the user's own, as a Python function or a command."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from typing import ClassVar

from pydantic import Field, field_validator

from lighten.data.augment.method import Bounds, Corpus, Job, Method, Run, Variant
from lighten.data.augment.words import words
from lighten.errors import InputError

Translator = Callable[[list[str]], list[str]]
"""From texts to as many texts: there and back again."""


class Translate(Method):
    """Let the user's translator rewrite the texts; what comes back is taken as it is, so no bounds hold."""

    name: ClassVar[str] = "translate"

    through: Callable[[list[str]], list[str]] = Field(
        default=None, description="The translator.", validate_default=True
    )  # type: ignore[assignment]

    @field_validator("through", mode="before")
    @classmethod
    def _python_only(cls, value: object) -> object:
        if not callable(value):
            raise ValueError("translate works in Python only: lighten.data.augment_texts(..., translate=function)")
        return value

    def open(self, bounds: Bounds, corpus: Corpus) -> Run:
        """Return what calls the translator once for all texts, those in several rows or copies only once."""

        def run(jobs: Sequence[Job]) -> list[Variant]:
            distinct = sorted({text for text, _, _ in jobs})
            said = self.through(distinct)
            if not isinstance(said, list) or len(said) != len(distinct) or not all(isinstance(s, str) for s in said):
                got = f"{len(said)} items" if isinstance(said, list) else type(said).__name__
                raise InputError(f"the translator got {len(distinct)} texts and must return as many; got {got}")
            by_text = dict(zip(distinct, said, strict=True))
            return [(by_text[text], len(words(by_text[text]))) for text, _, _ in jobs]

        return run


def command_translator(command: Sequence[str]) -> Translator:
    """Return a translator that runs a command.

    Args:
        command: program and arguments. It reads one JSON text per line and writes as many, in the same order.
    """

    def translate(texts: list[str]) -> list[str]:
        sent = "".join(json.dumps(text) + "\n" for text in texts)
        try:
            done = subprocess.run(
                list(command), input=sent, capture_output=True, text=True, encoding="utf-8", check=False
            )
        except OSError as error:
            raise InputError(f"the translator cannot be run: {error}", command[0]) from None
        if done.returncode:
            raise InputError(f"the translator failed with {done.returncode}: {done.stderr.strip()[-300:]}", command[0])
        try:
            said = [json.loads(line) for line in done.stdout.split("\n") if line.strip()]
        except ValueError:
            raise InputError("the translator must write one JSON text per line", command[0]) from None
        return said

    return translate
