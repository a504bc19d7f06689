"""plan.md: a plan as a team reads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from spec_files import format_quantity

if TYPE_CHECKING:
    from roofline.export.plan import Expected, Plan, Run

_METRIC = {
    "ttft": ("time to first token", "time"),
    "tpot": ("time per output token", "time"),
    "latency": ("latency of the workload", "time"),
    "energy": ("energy of the workload", "energy"),
}


def count(value: float) -> str:
    """A count with a decimal suffix: 494 M, 1.24 B."""
    for scale, suffix in ((1e12, " T"), (1e9, " B"), (1e6, " M"), (1e3, " k")):
        if value >= scale:
            return f"{value / scale:.4g}{suffix}"
    return f"{value:.4g}"


def loss_of(expected: Expected) -> str:
    """A loss with its interval."""
    if expected.low is None or expected.high is None:
        return f"{expected.value:.4f}, no interval"
    return f"{expected.value:.4f} ({expected.low:.4f} to {expected.high:.4f})"


def shape_of(run: Run) -> str:
    """An architecture in a few words."""
    row = run.architecture
    network = f"FFN {row['ffn_width']}"
    if row["experts"] > 1:
        network = f"{row['experts_per_token']} of {row['experts']} experts x {row['expert_width']}"
    heads = f"{row['query_heads']} heads of {row['head_size']} ({row['kv_heads']} KV)"
    return f"{row['layers']} layers x {row['width']}, {heads}, {network}"


def _duration(hours: float) -> str:
    """Days, hours or minutes, whichever are a few."""
    for size, unit in ((24.0, "days"), (1.0, "hours")):
        if hours >= 2 * size:
            return f"{hours / size:.3g} {unit}"
    return f"{hours * 60:.3g} minutes"


def plan_text(plan: Plan) -> str:
    """Return plan.md."""
    run, cluster = plan.choice, plan.cluster
    hours = run.gpu_hours
    parts = [
        f"# Training plan: member {plan.member} of the front",
        f"Picked by `{plan.picked}` for {plan.target}; {plan.asked}. Written by roofline "
        f"{plan.roofline}.",
        "## The model",
        _table(
            ("", "value"),
            [
                ("architecture", shape_of(run)),
                ("parameters", f"{run.parameters:,} ({count(run.parameters)})"),
                ("active for a token", f"{run.active_parameters:,}"),
                ("of embedding and head", f"{run.embedding_parameters:,}"),
                ("files", f"`{run.folder}/`: {', '.join(run.files)}"),
                ("stack", f"{plan.stack}, written for version {plan.stack_version}"),
            ],
        ),
        *([f"**Before you train:** {plan.caution}"] if plan.caution else []),
        "The files train in bf16 and without zeros. As it runs the member has "
        + ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in plan.as_run.items())
        + ": formats and sparsity are made after training (`roofline compress`) and no training "
        "configuration states them.",
        "## Loss and tokens",
        f"{plan.law} ({plan.law_source}). Loss in {plan.loss_unit}; an interval holds nine of ten "
        f"runs ({plan.loss_basis}).",
        _table(
            ("", "value"),
            [
                ("training tokens", count(run.tokens)),
                ("loss when trained", loss_of(run.loss)),
                ("loss as it runs", loss_of(plan.loss_as_run)),
                ("beyond the law's data", run.out_of_range or "no"),
            ],
        ),
        "## Compute",
        _table(
            ("", "value"),
            [
                ("FLOPs by operators", f"{run.flops:.4g}"),
                ("6 N_active D", f"{run.flops_rule:.4g}"),
                (
                    "cluster",
                    f"{cluster.gpus} x {cluster.title}, {cluster.peak / 1e12:.4g} TFLOP/s dense "
                    f"bf16 each ({cluster.peak_source})",
                ),
                ("utilisation (MFU), stated", f"{cluster.utilisation:.0%}"),
                ("GPU-hours", f"{hours:,.4g}"),
                ("on the cluster", _duration(hours / cluster.gpus)),
                ("memory", plan.memory.say()),
            ],
        ),
        f"FLOPs by operators: matrix products of the forward pass over sequences of "
        f"{plan.sequence:,} tokens (causal attention, logits of every token), and twice as many "
        "backward; nothing recomputed. Memory: 16 bytes a parameter (bf16 weights and gradients, "
        "fp32 weights and Adam's two moments; arXiv 1910.02054) sharded over all devices "
        f"({_size(plan.memory.states)}), the largest layer gathered "
        f"({_size(plan.memory.gathered)}), inputs of each layer of one sequence with the rest "
        f"recomputed ({_size(plan.memory.checkpoints)}), its logits ({_size(plan.memory.logits)}).",
        "## Batch size and learning rate",
        _table(
            ("law", "source", "learning rate", "tokens a step", "beyond its data"),
            [
                (
                    each.law,
                    each.source,
                    f"{each.learning_rate:.3g}",
                    count(each.batch_tokens),
                    each.extrapolation or "no",
                )
                for each in run.advice.values()
            ],
        ),
        f"The files use the first: {run.batch} sequences of {plan.sequence:,} tokens a step, "
        f"{run.steps:,} steps. " + " ".join(f"{a.law}: {a.meaning}." for a in run.advice.values()),
        "## Train these first",
        _ladder(plan),
        "## On the target",
        _table(
            ("", "expected", "nine of ten lie in"),
            [
                (
                    _METRIC[name][0],
                    format_quantity(each.value, _METRIC[name][1]),
                    "not known"
                    if each.low is None or each.high is None
                    else f"{format_quantity(each.low, _METRIC[name][1])} to "
                    f"{format_quantity(each.high, _METRIC[name][1])}",
                )
                for name, each in plan.expected.items()
            ],
        ),
        f"Basis: {plan.basis}.",
    ]
    return "\n\n".join(parts) + "\n"


def _ladder(plan: Plan) -> str:
    if not plan.ladder:
        return f"No ladder: {plan.no_ladder}."
    rows = [
        (
            each.name,
            shape_of(each),
            count(each.active_parameters),
            count(each.tokens),
            f"{each.share:.3f}",
            f"{each.gpu_hours:,.3g}",
            f"{each.advice[next(iter(each.advice))].learning_rate:.3g}",
            loss_of(each.loss) + (" *" if each.out_of_range else ""),
        )
        for each in plan.ladder
    ]
    names = (
        "rung", "architecture", "active", "tokens", "of the compute", "GPU-hours",
        "learning rate", "loss it should reach",
    )  # fmt: skip
    outside = [f"{e.name}: {e.out_of_range}" for e in plan.ladder if e.out_of_range]
    return "\n\n".join(
        [
            "Smaller siblings of the same proportions. Write the loss of each into `ladder.csv`; "
            "then `roofline fit ladder.csv --ladder plan.yaml` says whether the law holds, and "
            "whether the choice still stands.",
            _table(names, rows),
            f"Together they cost {sum(each.share for each in plan.ladder):.2f} of the choice's "
            "compute.",
            *(["\\* beyond the law's data: " + "; ".join(outside) + "."] if outside else []),
        ]
    )


def _size(value: float) -> str:
    return format_quantity(value, "bytes")


def _table(names: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [names, ("---",) * len(names), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
