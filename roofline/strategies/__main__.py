"""`python -m roofline.strategies`: the report on published numbers, made anew.

Writes README.md, tables and the figure of a phone's plan into reports/strategies.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from arch_space.library import load_models
from hardware_specs import load_device
from roofline.strategies import account
from roofline.strategies.difficulty import Difficulty, difficulty_names, load_difficulty
from roofline.strategies.exchange import RATIOS, exchange, generations
from roofline.strategies.figures import front_figure
from roofline.strategies.forms import strategies
from roofline.strategies.kinetics import beside_engine
from roofline.strategies.options import build_options
from roofline.strategies.plan import plan
from roofline.strategies.serial import PUBLISHED, serial_over_batched, spread_that_explains
from roofline.strategies.task import load_task
from roofline.strategies.verifier import load_verifier, verifier_names
from spec_files import format_quantity

FORMATS = ["fp16", "int8", "int4-g128", "q4_k_m"]
LIMITS = {"latency": 30.0, "memory": 6e9}


def main(out: Path) -> None:
    """Write the report."""
    out.mkdir(parents=True, exist_ok=True)
    parts = [HEAD, _fits(), _optimal(), _exchange(), _serial(), _kinetics(), _phone(out)]
    (out / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


HEAD = """# Test-time compute: published numbers, and what the engine says

Made by `python -m roofline.strategies`. What each strategy assumes: `docs/strategies.md`."""


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table in Markdown, the first column to the left."""
    rule = "|" + "|".join(["---"] + ["---:"] * (len(columns) - 1)) + "|"
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join(["| " + " | ".join(columns) + " |", rule, *lines])


def _fits() -> str:
    k = np.unique(np.geomspace(1, 10_000, 40).round().astype(int))
    rows = []
    for name in difficulty_names():
        each = load_difficulty(name)
        if each.power_law is None:
            continue
        a, b = each.power_law
        found = Difficulty.fit(k, np.exp(a * k**b))
        rows.append(
            (name, a, b, f"{found.alpha:.3f}", f"{found.beta:.3f}",
             f"{100 * found.mean_error['coverage']:.2f}")
        )  # fmt: skip
    votes = []
    for name, said in (
        ("llama-3-8b-instruct-math", (0.267, 0.402, 0.415)),
        ("llama-3-70b-instruct-math", (0.475, 0.575, 0.575)),
    ):
        ours = load_difficulty(name).majority(np.array([1, 83, 2227]))
        votes.append(
            (name, *(f"{100 * x:.1f} ({100 * y:.1f})" for x, y in zip(ours, said, strict=True)))
        )
    return f"""## Coverage and votes (arXiv 2407.21787)

A Beta fitted to coverage = exp(a k^b) at 40 numbers of samples from 1 to 10,000; mean error in
points.

{table(["published pair", "a", "b", "alpha", "beta", "mean error"], rows)}

Majority vote of the shipped difficulties, in percent, and as published:

{table(["difficulty", "1 sample", "83", "2227"], votes)}"""


def _optimal() -> str:
    task = load_task("math")
    rows = []
    for model, judge in (("llama-3.1-8b", "prm-8b"), ("qwen2.5-1.5b", "skywork-prm-1.5b")):
        o = build_options(
            load_models([model]),
            ["fp16"],
            load_device("a100-80-sxm"),
            task,
            list(strategies().values()),
            [load_verifier(judge)],
            64,
        )
        for n in (4, 16, 64):
            within = o.samples <= n
            picks = [int(np.argmax(np.where(within, each[0], -1.0))) for each in o.by_bin]
            best = np.mean([each[0, t] for each, t in zip(o.by_bin, picks, strict=True)])
            plain, weighted = (
                o.accuracy[0, (o.strategy == name) & (o.samples == n)].max()
                for name in ("best-of-n", "weighted")
            )
            rows.append(
                (
                    f"{model}, {judge}, {n}",
                    f"{100 * best:.1f}",
                    f"{100 * weighted:.1f}",
                    f"{100 * plain:.1f}",
                    *(str(o.strategy[t]) for t in picks),
                )
            )
    columns = ["model, verifier, answers", "optimal by fifth", "weighted", "best-of-N"]
    return f"""## One strategy for all questions, or one for each difficulty

MATH, % right within a number of answers. arXiv 2408.03314 finds that the optimum by difficulty
matches best-of-N with about a quarter of the answers (16 against 64), that easy questions favour
revisions, and that hard ones favour search or an even split. None of that was fitted here; but the
form of revisions, which lose right answers in proportion to 1 - p, was chosen knowing it, and the
quality of the 8B verifier is an assumption.

{table([*columns, *account.BIN_NAMES[1:]], rows)}"""


def _exchange() -> str:
    said = (257.8, 63.4, 15.8)
    formula = [
        (f"{ratio:g}", f"{float(generations(14, ratio)):.1f}", each)
        for ratio, each in zip(RATIOS, said, strict=True)
    ]
    rows = []
    phone, task = load_device("phone"), load_task("math")
    pairs = [
        ("qwen2.5-0.5b", "qwen2.5-1.5b"),
        ("qwen2.5-1.5b", "qwen2.5-3b"),
        ("llama-3.2-1b", "llama-3.2-3b"),
        ("gemma-3-1b", "gemma-3-4b"),
    ]
    for small, large in pairs:
        few, one = (load_models([name]) for name in (small, large))
        each = exchange(few, one, phone, task, "int8")
        more = "+" if "seconds" in each.capped else ""
        other = each.substitute
        rows.append(
            (
                f"{small} for {large}",
                f"{each.times:.2f}",
                f"{each.flops:.1f}",
                f"{each.seconds:.0f}{more}",
                f"{each.joules:.0f}{more}",
                "none known"
                if other is None
                else f"{other.strategy} ×{other.samples}: {100 * other.accuracy:.1f} % in "
                f"{other.seconds:.2f} of the time (one answer: {100 * other.large_accuracy:.1f} %)",
            )
        )
    return f"""## A larger model, or more samples

Generations of the small model for one of a model M = 14 times larger, M + 3 (M - 1) / R:

{table(["R", "here", "arXiv 2408.03314"], formula)}

On the phone, in int8, answers decoded together for one answer of the larger model (MATH; + where
memory ends first). A sample more costs far less than a sample until products take as long as the
weights' traffic.

{table(["models", "M", "at its FLOPs", "at its seconds", "at its joules", "does as well"], rows)}

The last column is the quickest strategy of the small model, without a verifier and of up to 64
answers, that is at least as often right."""


def _serial() -> str:
    models = load_models(["phi-3-mini", "qwen2.5-1.5b"])
    device = load_device("a100-80-sxm")
    rows = []
    for runtime in ("transformers", "vllm"):
        equal = serial_over_batched(models, device, runtime=runtime)
        ragged = serial_over_batched(models, device, spread=0.2, runtime=runtime)
        for i, name in enumerate(models.names):
            spread = spread_that_explains(equal["latency"], np.mean(PUBLISHED["latency"]).item())[i]
            rows.append(
                (f"{name}, {runtime}", f"{equal['latency'][i]:.2f}", f"{ragged['latency'][i]:.2f}",
                 "5.77 to 6.12", f"{equal['energy'][i]:.2f}", f"{ragged['energy'][i]:.2f}",
                 "4.64 to 4.86", f"{100 * spread:.0f} %")
            )  # fmt: skip
    low, high = (PUBLISHED["latency"][i] / PUBLISHED["energy"][i] for i in (0, 1))
    columns = [
        "N = 8, A100 80 GB", "latency, equal lengths", "spread 20 %", "published P95",
        "energy, equal lengths", "spread 20 %", "published", "spread that explains the latency",
    ]  # fmt: skip
    return f"""## Eight serial calls over one batch of eight

{table(columns, rows)}

Prompt 100, answer 200 tokens, 16-bit weights, each prompt read in full. The engine's ratio is close
to eight because a decode step takes hardly longer for eight sequences than for one: both stream the
weights once and launch the same kernels. It is larger than measured for two reasons that are not in
it:

- Answers differ in length. A batch runs until its longest answer ends; eight calls take the sum.
  With normal lengths the longest of eight is 1 + 1.42 s of the mean, s their standard deviation
  over it. The last column is the s at which the ratio is the middle of the published ones: what
  would explain the difference, and no measurement, since the lengths there were not published.
- A fuller GPU draws more power. The published ratios themselves say by how much: the batch draws
  {low:.2f} to {high:.2f} times the power of a serial call. The engine gives a busy A100 one power,
  so its ratio of energy is that of latency."""


def _kinetics() -> str:
    phone, task = load_device("phone"), load_task("math")
    rows = []
    for name in ("qwen3-0.6b", "qwen3-4b"):
        model = load_models([name]).with_formats("int8")
        for row in beside_engine(model, "int8", phone, task):
            rows.append((f"{name}, {row['answers']}", f"{row['eflops']:.3g}",
                         f"{row['eflops_over_one']:.2f}", f"{row['with_weights_over_one']:.2f}",
                         f"{row['latency_over_one']:.2f}"))  # fmt: skip
    columns = [
        "model, answers",
        "eFLOPs",
        "over one",
        "with the weights' traffic",
        "engine's latency over one",
    ]
    return f"""## Kinetics (arXiv 2506.05333) and the engine on a phone

Cost of N answers to a MATH question over the cost of one, int8 weights.

{table(columns, rows)}

Kinetics prices products, and the cache's traffic at 562.5 FLOPs a byte; it leaves out the weights,
whose traffic a full server spreads over many users. One user's phone streams them at every step,
for all answers together: up to about eight answers that is nearly all there is, and the next answer
is nearly free. With the weights' traffic at the same rate the formula grows more slowly than the
engine, since a phone computes fewer FLOPs a byte than a B200: there products take over from about
16 answers on."""


def _phone(out: Path) -> str:
    task = load_task("math")
    judges = [load_verifier(name) for name in verifier_names()]
    found = plan(
        load_device("phone"), task, load_models(sorted(task.models)), FORMATS, LIMITS,
        verifiers=[each for each in judges if task.name in each.tasks],
    )  # fmt: skip
    front_figure(found).savefig(out / "phone-math.png", dpi=150)
    found.frame().to_csv(out / "phone-math.csv", index=False)
    budgets = [
        (format_quantity(float(budget), "time"), account.short(found, picks[0]),
         f"{100 * found.value(picks[0], 'accuracy'):.1f}", account.costs(found, picks[0]))
        for budget, picks in zip(found.budgets, found.by_budget, strict=True) if picks[0]
    ]  # fmt: skip
    said = "\n".join(f"- {line}" for line in account.sentences(found))
    rests = "\n".join(f"- {line}" for line in account.assumptions(found))
    return f"""## MATH on a phone within 30 s and 6 GB

![Front of accuracy against latency, by strategy](phone-math.png)

{said}

{table(["budget", "best", "% right", "costs"], budgets)}

By difficulty, each model's own fifths of the questions, within the limits:

{table(["questions", "best", "right", "costs"], account.bins_table(found))}

What the accuracies rest on:

{rests}"""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m roofline.strategies", description=__doc__)
    parser.add_argument("-o", "--out", type=Path, default=Path("reports/strategies"))
    main(parser.parse_args().out)
