"""The command line: one thin file per verb, each a call to a public function.

Results go to stdout, progress and logs to stderr. Exit status: 0 done and within budget; 1 internal error; 2 bad
usage, recipe or input; 3 infeasible, the nearest miss was delivered; 130 interrupted.
"""

from __future__ import annotations


def main() -> None:
    """Run the command ``lighten``; ends the process."""
    from lighten.cli.app import app

    app(prog_name="lighten")
