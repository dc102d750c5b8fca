"""Messages as the text that a model was trained to answer, by the chat template in its folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lighten.errors import InputError

Message = dict[str, str]
"""``role`` (system, user, assistant) and ``content``."""


def written(folder: Path, messages: Sequence[Message]) -> str:
    """Write messages as the template has it, ready for the answer.

    Raises:
        InputError: the folder has no template, jinja2 is missing, or the template does not take the messages.
    """
    template, settings = _template(folder)
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or {"role", "content"} - set(message):
            raise InputError("a message has the keys 'role' and 'content'", f"message {index}")
    try:
        from jinja2 import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError:
        raise InputError("chat templates need jinja2 (pip install jinja2); or give a text") from None
    # Sandboxed, as in transformers: a template may come from a stranger.
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    words = {key: value for key, value in settings.items() if key.endswith("_token") and isinstance(value, str)}
    try:
        made = environment.from_string(template).render(messages=messages, add_generation_prompt=True, **words)
    except TemplateError as error:
        raise InputError(f"the chat template does not take these messages: {error}") from None
    return str(made)


def _template(folder: Path) -> tuple[str, dict[str, Any]]:
    """Return the template, from a file of its own or from tokenizer_config.json, and the latter's content."""
    file, beside = folder / "tokenizer_config.json", folder / "chat_template.jinja"
    try:
        settings = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except ValueError as error:
        raise InputError(f"not valid JSON: {error}", str(file)) from None
    template = beside.read_text(encoding="utf-8") if beside.is_file() else settings.get("chat_template")
    if not isinstance(template, str):
        raise InputError("this model has no chat template; give a text instead of messages", str(folder))
    return template, settings
