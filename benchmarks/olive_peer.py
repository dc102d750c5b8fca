"""Microsoft Olive as a peer, in an environment of its own: its dynamic int8, and its search over its passes.

`interpreter` makes the environment once (runs/peers/olive: about 1.5 GB, a few minutes); to use one that exists, name
its python in the environment variable OLIVE_PEER_PYTHON. The versions are those of this project's constraints.txt but
for two: its evaluators break with pydantic 2.14 (2.12.5 works), and it imports `requests` without saying so.
Olive runs as a user runs it, ``olive run --config FILE``, with its usage reports off and no network.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lighten.pipeline import read_json, write_json
from lighten.pipeline.files import checksum

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "runs" / "peers" / "olive"
NAMED = "OLIVE_PEER_PYTHON"
VERSION = "0.13.0"
PINNED = ("torch==2.13.0",), (f"olive-ai=={VERSION}", "onnxruntime", "requests", "pydantic==2.12.5")
"""In this order: Olive alone would bring a torch with CUDA."""
LOOSE = ("pydantic", "pydantic_core")
"""What Olive needs in another version than this project has."""
QUIET = {
    "CI": "1",  # its usage reports send a first one before they look whether they are off, but none from CI
    "OLIVE_DISABLE_TELEMETRY": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
}
OPTIONS = ("quant_mode", "precision", "per_channel", "reduce_range", "calibrate_method", "quant_format")
"""Of a quantisation: what is worth telling."""


def interpreter() -> Path:
    """Return the python of Olive's environment, made once.

    Raises:
        SystemExit: it cannot be made, or the one that was named has no Olive.
    """
    if named := os.environ.get(NAMED):
        python = Path(named).absolute()  # not resolved: the link is what makes it an environment
        said = f"{NAMED}={named}"
    else:
        python = FOLDER / "bin" / "python"
        said = f"{FOLDER}: remove the folder, and it is made anew"
        marker = FOLDER / "installed.json"
        if not marker.is_file() or read_json(marker) != [list(part) for part in PINNED]:
            _install(python)
            write_json(marker, [list(part) for part in PINNED])
    if not python.is_file():
        raise SystemExit(f"Olive's environment does not work (no such file): {said}")
    found = subprocess.run(
        [str(python), "-c", "import olive; print(olive.__version__)"], capture_output=True, text=True, env=_quiet()
    )
    answer = (found.stderr if found.returncode else found.stdout).strip().splitlines()[-1:]
    if answer != [VERSION]:
        raise SystemExit(f"Olive's environment does not work (Olive {VERSION} wanted; {' '.join(answer)}): {said}")
    return python


def _install(python: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(FOLDER)], check=True)
    known = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    constraints = FOLDER / "constraints.txt"
    constraints.write_text("\n".join(line for line in known if line.split("==")[0] not in LOOSE), encoding="utf-8")
    pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-c", str(constraints)]
    for part in PINNED:
        done = subprocess.run([*pip, *part], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"Olive's environment cannot be made: {' '.join(part)}:\n{done.stderr[-2000:]}")


def _quiet() -> dict[str, str]:
    return {**os.environ, **QUIET, "OLIVE_TELEMETRY_CACHE_DIR": str(FOLDER.parent / "olive-nothing")}


def run(config: Mapping[str, Any], out: Path, checkpoint: Path, most: float) -> dict[str, Any]:
    """Run Olive once; the same work on the same weights is not done again.

    Args:
        config: one of olive_configs.py.
        out: folder of its own.
        checkpoint: the model that it starts from.
        most: seconds after which it is ended.

    Returns:
        ``graph`` (None where no candidate kept the floor), ``seconds`` of the whole command; of a search ``models``
        (how many could be made and were measured) and ``said`` of the chosen one: its options and Olive's numbers.

    Raises:
        SystemExit: Olive failed or took too long.
    """
    kept, graph = out / "olive.json", out / "chosen" / "model.onnx"
    asked = {"config": config, "weights": checksum(checkpoint / "model.safetensors"), "pinned": PINNED}
    asked = json.loads(json.dumps(asked))
    if kept.is_file() and (known := read_json(kept))["asked"] == asked:
        return {"graph": graph if graph.is_file() else None, **known["found"]}
    python = interpreter()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    write_json(out / "config.json", dict(config))
    started = time.monotonic()
    with (out / "log").open("w") as log:
        command = [str(python), "-m", "olive", "run", "--config", str((out / "config.json").resolve())]
        try:
            status = subprocess.run(command, stdout=log, stderr=log, cwd=out, env=_quiet(), timeout=most).returncode
        except subprocess.TimeoutExpired:
            raise SystemExit(f"Olive was not done after {most:.0f} seconds, see {out / 'log'}") from None
    seconds = round(time.monotonic() - started, 1)
    if status or not (out / "chosen" / "footprint.json").is_file():
        raise SystemExit(f"Olive failed, see {out / 'log'}:\n{(out / 'log').read_text()[-3000:]}")
    found = {"seconds": seconds, **_said(list(read_json(out / "chosen" / "footprint.json").values()))}
    write_json(kept, {"asked": asked, "found": found})
    return {"graph": graph if graph.is_file() else None, **found}


def _said(nodes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how many candidates a search measured, and what it says of the fastest that keeps its goals."""
    measured = [node for node in nodes if node.get("metrics") and node.get("parent_model_id")]
    kept = [node for node in measured if node["is_pareto_frontier"] and node["metrics"]["if_goals_met"]]
    if not kept:
        return {"models": len(measured), "said": None}
    numbers = [{name: found["value"] for name, found in node["metrics"]["value"].items()} for node in kept]
    best = min(range(len(kept)), key=lambda index: numbers[index]["latency-avg"])
    chosen = kept[best]["pass_run_config"]
    # What does not apply (calibration of a dynamic model) stays a whole search space.
    options = {name: chosen[name] for name in OPTIONS if name in chosen and not isinstance(chosen[name], dict)}
    return {"models": len(measured), "said": {**options, **numbers[best]}}
