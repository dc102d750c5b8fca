"""``python -m lighten.runtime FOLDER TEXT...``: one JSON line per text.

The shortest way from a process to a prediction; `lighten.measure.cold_start` times it.
"""

from __future__ import annotations

import json
import sys

from lighten.errors import InputError, LightenError


def main(arguments: list[str]) -> int:
    """Predict the texts; returns the exit status."""
    try:
        if len(arguments) < 2:
            raise InputError("usage: python -m lighten.runtime FOLDER TEXT...")
        from lighten.runtime.classifier import load

        folder, *texts = arguments
        for prediction in load(folder).predict(texts):
            sys.stdout.write(json.dumps(vars(prediction), ensure_ascii=False) + "\n")
            sys.stdout.flush()
    except LightenError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
