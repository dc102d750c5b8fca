"""Repair of mojibake with ftfy, which is shown only what lies around the characters beyond ASCII.

All encodings that ftfy tries agree on ASCII, and none of its rules looks further than two characters before and six
behind one beyond ASCII. So the inside of a long stretch of plain characters cannot matter: it is taken out, and put
back into what ftfy returns. Its rules are slow, and most of a text in a European language is such stretches.
"""

from __future__ import annotations

import re

_BEHIND, _BEFORE = 8, 4
"""Characters of a stretch that are shown behind what is before it, and before what is behind it."""
_SEEN_BEHIND, _SEEN_BEFORE = 7, 3
"""Those of them that have to come back as they were; a repair may take up a blank behind a letter."""
_MARK = "\0"
"""Stands for what was taken out: in all encodings, part of no rule, and only texts without it come here."""
_STRETCH = re.compile(rf"[\t\n\r\x20-\x7e]{{{_BEHIND + _BEFORE + 4},}}")


def repair(text: str) -> str:
    """Return what ``ftfy.fix_encoding`` makes of a text."""
    if text.isascii():  # ASCII cannot be mojibake, and ftfy's own test for it is slower than its repair
        return text
    import ftfy

    if _MARK not in text:
        shown, hidden = _condense(text)
        if hidden:
            repaired = _restore(shown, hidden, str(ftfy.fix_encoding(_MARK.join(shown))))
            if repaired is not None:
                return repaired
    return str(ftfy.fix_encoding(text))


def _condense(text: str) -> tuple[list[str], list[str]]:
    """Return what is to be shown, in order, and what was taken out between."""
    shown, hidden, last = [], [], 0
    for found in _STRETCH.finditer(text):
        start, end = found.start() + _BEHIND, found.end() - _BEFORE
        shown.append(text[last:start])
        hidden.append(text[start:end])
        last = end
    shown.append(text[last:])
    return shown, hidden


def _restore(shown: list[str], hidden: list[str], repaired: str) -> str | None:
    """Put back what was taken out; None where a repair came so near to it that it might have mattered."""
    pieces = repaired.split(_MARK)
    if len(pieces) != len(shown):
        return None
    whole = [pieces[0]]
    for number, inside in enumerate(hidden):
        if pieces[number][-_SEEN_BEHIND:] != shown[number][-_SEEN_BEHIND:]:
            return None
        if pieces[number + 1][:_SEEN_BEFORE] != shown[number + 1][:_SEEN_BEFORE]:
            return None
        whole.append(inside)
        whole.append(pieces[number + 1])
    return "".join(whole)
