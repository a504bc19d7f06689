"""A training plan: what a candidate takes, what to expect, and what to train first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from arch_space.architectures import Architectures
from arch_space.tensors import active_parameter_count, parameter_count
from roofline.export.compute import Cluster, Memory, rule_flops, training_flops
from roofline.export.hyperparameters import Advice, hyper_laws
from roofline.export.ladder import FRACTIONS, siblings
from roofline.export.stacks import Training, caution, check, stack
from roofline.laws import Law, interval, out_of_range_reasons, predict
from roofline.laws.prediction import uncertainty_basis
from roofline.laws.variables import embedding_parameters
from spec_files import Spec, SpecError

if TYPE_CHECKING:
    from roofline.export.front import Front

LEVEL = 0.9
"""Share of runs whose loss an interval holds."""
WARMUP = 2000
"""Steps of warm-up in the runs of Step Law (arXiv 2503.04715), of short runs a twentieth."""
METRICS = ("ttft", "tpot", "latency", "energy")
_UNITS = {"ttft": "ttft_s", "tpot": "tpot_s", "latency": "latency_s", "energy": "energy_j"}


class Expected(Spec):
    """A number and the interval that nine of ten measurements lie in; no ends where not known."""

    value: float
    low: float | None = None
    high: float | None = None


class Run(Spec):
    """One model and how to train it: the choice itself, or a rung of the ladder."""

    name: str
    folder: str
    files: tuple[str, ...]
    share: float
    """Of the choice's training FLOPs."""
    architecture: dict[str, Any]
    """As it trains: 16 bits, nothing zeroed."""
    parameters: int
    active_parameters: int
    embedding_parameters: int
    tokens: float
    flops: float
    """Forward and backward, by operators."""
    flops_rule: float
    """6 N_active D."""
    gpu_hours: float
    loss: Expected
    out_of_range: str
    """What puts it beyond the law's data; '' where nothing does."""
    advice: dict[str, Advice]
    """Learning rate and batch size by published law; the first is that of the files."""
    batch: int
    """Sequences a step, a multiple of the devices where it can be."""
    steps: int


class Plan(Spec):
    """Everything of plan.md; `roofline fit --ladder plan.yaml` reads it back."""

    roofline: str
    """Version."""
    stack: str
    stack_version: str
    picked: str
    """As asked for: knee, a number, a condition."""
    member: int
    law: str
    law_source: str
    loss_unit: str
    loss_basis: str
    sequence: int
    choice: Run
    as_run: dict[str, str | float]
    """Number formats and sparsity of the member as it runs, which no training file states."""
    loss_as_run: Expected
    cluster: Cluster
    memory: Memory
    expected: dict[str, Expected]
    """Of the workload on the target, by metric, in seconds and joules."""
    target: str
    asked: str
    basis: str
    objectives: tuple[str, ...]
    ladder: tuple[Run, ...] = ()
    no_ladder: str = ""
    caution: str = ""
    """What a team must know before it trains from these files."""
    laws: str = Field(default="law.yaml")
    front: str = Field(default="front.csv")


def trained(arch: Architectures) -> Architectures:
    """Return candidates as they train: 16 bits, nothing zeroed."""
    plain = arch.with_formats("fp16", embedding="fp16", kv="fp16", activations="fp16")
    return replace(
        plain, weight_sparsity=np.zeros(1), two_four=np.zeros(1, bool), ffn_sparsity=np.zeros(1)
    )


def make_plan(
    front: Front,
    picked: str,
    to: str,
    law: Law,
    cluster: Cluster,
    sequence: int,
    fractions: Sequence[float] = FRACTIONS,
) -> tuple[Plan, dict[str, str]]:
    """Return a plan and the text of every configuration file, by path.

    Raises SpecError for a pick that is none, and a stack that cannot say the member.
    """
    from roofline import __version__

    member = front.pick(picked)
    as_run = front.architectures()[member]
    check(to, as_run)
    arch = trained(as_run)
    files: dict[str, str] = {}
    choice = _run("model", "model", arch, law, law.tokens, 1.0, to, cluster, sequence, files)
    rungs: list[Run] = []
    why = ""
    try:
        found = siblings(arch, law, sequence, fractions, lambda each: not stack(to).refusal(each))
        for number, each in enumerate(found, 1):
            name = f"rung-{number}"
            at = law.at_tokens(each.tokens) if law.free_tokens else law
            shape = (each.architecture, at, each.tokens, each.share)
            rungs.append(_run(name, f"ladder/{name}", *shape, to, cluster, sequence, files))
        why = "" if rungs else f"{to} can say none of the smaller shapes"
    except SpecError as refused:
        why = str(refused)
    row = front.table.iloc[member]
    formats = as_run.row()
    plan = Plan(
        roofline=__version__,
        stack=to,
        stack_version=stack(to).VERSION,
        picked=picked.strip(),
        member=member,
        law=law.title,
        law_source=law.source,
        loss_unit=law.unit,
        loss_basis=uncertainty_basis(law),
        sequence=sequence,
        choice=choice,
        as_run={
            name: formats[name]
            for name in (
                "weight_format", "embedding_format", "kv_format", "activation_format",
                "weight_sparsity", "ffn_sparsity",
            )
        },
        loss_as_run=_loss(law, as_run),
        cluster=cluster,
        memory=Memory.of(arch, sequence, cluster),
        expected={
            name: _ends(row, column)
            for name, column in _UNITS.items()
            if column in row.index and np.isfinite(row[column])
        },
        **_target(front),
        ladder=tuple(rungs),
        caution=caution(to, arch),
        no_ladder=why,
    )  # fmt: skip
    return plan, files


def _run(
    name: str, folder: str, arch: Architectures, law: Law, tokens: float, share: float, to: str,
    cluster: Cluster, sequence: int, files: dict[str, str],
) -> Run:  # fmt: skip
    """Plan one run, and add its files."""
    advice = {key: each.advise(arch, tokens, sequence) for key, each in hyper_laws().items()}
    used = next(iter(advice.values()))
    batch, ranks = _batch(used.batch_tokens / sequence, cluster.gpus)
    steps = max(1, round(tokens / (batch * sequence)))
    setting = Training(
        name=name, sequence=sequence, batch=batch, steps=steps, gpus=ranks,
        learning_rate=used.learning_rate, final_rate=used.final_rate,
        warmup=max(1, min(WARMUP, steps // 20)),
    )  # fmt: skip
    texts = stack(to).files(arch, setting)
    files.update({f"{folder}/{file}": text for file, text in texts.items()})
    flops = float(training_flops(arch, tokens, sequence)[0])
    return Run(
        name=name,
        folder=folder,
        files=tuple(texts),
        share=share,
        architecture=arch.row(),
        parameters=int(parameter_count(arch.as_float())[0]),
        active_parameters=int(active_parameter_count(arch.as_float())[0]),
        embedding_parameters=int(embedding_parameters(arch)[0]),
        tokens=tokens,
        flops=flops,
        flops_rule=float(rule_flops(arch, tokens)[0]),
        gpu_hours=cluster.gpu_hours(flops),
        loss=_loss(law, arch),
        out_of_range=out_of_range_reasons(law, arch)[0],
        advice=advice,
        batch=batch,
        steps=steps,
    )


def _batch(sequences: float, gpus: int) -> tuple[int, int]:
    """Return sequences a step and the devices that share them: each has at least one."""
    wanted = max(1, round(sequences))
    ranks = min(gpus, wanted)
    return max(1, round(wanted / ranks)) * ranks, ranks


def _loss(law: Law, arch: Architectures) -> Expected:
    low, high = (float(end[0]) for end in interval(law, arch, LEVEL))
    known = np.isfinite(low) and low < high
    value = float(predict(law, arch).loss[0])
    return Expected(value=value, low=low if known else None, high=high if known else None)


def _ends(row: Any, column: str) -> Expected:
    value = float(row[column])
    ends = [float(row.get(f"{column}_{end}", np.nan)) for end in ("low", "high")]
    known = np.isfinite(ends).all() and ends[0] < ends[1]
    return Expected(value=value, low=ends[0] if known else None, high=ends[1] if known else None)


def _target(front: Front) -> dict[str, Any]:
    """Say what the front was searched for."""
    known = front.summary or {}
    sweep = front.sweep
    if sweep is None:
        return {
            "target": "not stated: front.csv stood alone",
            "asked": "not stated",
            "basis": known.get("basis", "not stated"),
            "objectives": tuple(known.get("objectives", ())),
        }
    if sweep.mix is not None:
        asked = f"{sweep.how} of {sweep.mix.describe()}"
    else:
        work = sweep.workload.workload()
        asked = f"prompt {work.prompt}, {work.generate} tokens generated, batch {work.batch}"
    return {
        "target": sweep.device.title,
        "asked": asked,
        "basis": known.get("basis", "not stated"),
        "objectives": tuple(sweep.objectives),
    }
