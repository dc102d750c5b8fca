"""Emoji: where they are in a text, and their names."""

from __future__ import annotations

import re
import unicodedata

# Characters below the emoji blocks that are shown as emoji by themselves. (C), (R), TM and digits are not: they only
# become one with the variation selector behind them.
_OLD = (
    "\u203c\u2049\u231a\u231b\u2328\u23cf\u23e9-\u23f3\u23f8-\u23fa\u24c2\u25aa\u25ab\u25b6\u25c0\u25fb-\u25fe"
    "\u2600-\u2604\u260e\u2611\u2614\u2615\u2618\u261d\u2620\u2622\u2623\u2626\u262a\u262e\u262f\u2638-\u263a\u2640"
    "\u2642\u2648-\u2653\u265f\u2660\u2663\u2665\u2666\u2668\u267b\u267e\u267f\u2692-\u2697\u2699\u269b\u269c\u26a0"
    "\u26a1\u26a7\u26aa\u26ab\u26b0\u26b1\u26bd\u26be\u26c4\u26c5\u26c8\u26ce\u26cf\u26d1\u26d3\u26d4\u26e9\u26ea"
    "\u26f0-\u26f5\u26f7-\u26fa\u26fd\u2702\u2705\u2708-\u270d\u270f\u2712\u2714\u2716\u271d\u2721\u2728\u2733\u2734"
    "\u2744\u2747\u274c\u274e\u2753-\u2755\u2757\u2763\u2764\u2795-\u2797\u27a1\u27b0\u27bf\u2b1b\u2b1c\u2b50\u2b55"
)
_ONE = (
    rf"(?:[{_OLD}\U0001f004\U0001f0cf\U0001f170-\U0001f19a\U0001f201-\U0001f251"
    r"\U0001f300-\U0001f64f\U0001f680-\U0001f6ff\U0001f7e0-\U0001f7eb\U0001f900-\U0001faff]"
    r"|[\u00a9\u00ae\u2122\u2139\u2194-\u21aa\u2934\u2935\u2b05-\u2b07\u3030\u303d\u3297\u3299](?=\ufe0f))"
)
_FLAG = r"[\U0001f1e6-\U0001f1ff]{2}"
_SHOWN = rf"{_ONE}\ufe0f?[\U0001f3fb-\U0001f3ff]?"
PATTERN = rf"{_FLAG}|[0-9#*]\ufe0f?\u20e3|{_SHOWN}(?:\u200d{_SHOWN})*"
"""One emoji as a reader sees it: with its skin tone, joined with others, a flag, a key cap."""

_SILENT = {"\ufe0f", "\u200d", "\u20e3"}
_KEYS = {"#": "number_sign", "*": "asterisk"}


def emoji_name(emoji: str) -> str:
    """Return ``":thumbs_up_sign:"``, ``":flag_fr:"``, ``":keycap_3:"``: Unicode's names in small letters."""
    if "\u20e3" in emoji:
        return f":keycap_{_KEYS.get(emoji[0], emoji[0])}:"
    if re.fullmatch(_FLAG, emoji):
        return ":flag_" + "".join(chr(ord(letter) - 0x1F1E6 + ord("a")) for letter in emoji) + ":"
    names = [unicodedata.name(sign, "emoji") for sign in emoji if sign not in _SILENT]
    return (
        ":"
        + "_".join(names).lower().replace(" ", "_").replace("-", "_").replace("emoji_modifier_fitzpatrick_", "skin_")
        + ":"
    )
