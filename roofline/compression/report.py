"""The report of `python -m roofline.compression`: fits, hold-outs, speed, and the experiment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arch_space.library import load_model
from arch_space.tensors import weight_bytes
from hardware_specs import load_device
from roofline.compression import account, speed
from roofline.compression.beside import errors
from roofline.compression.experiment.run import BITS, GROUPS, OPTIMISERS, Result, mean_and_error
from roofline.compression.folder import front_figure
from roofline.compression.outcome import outcome
from roofline.compression.recipe import published
from roofline.compression.search import Found, recipes, search
from roofline.compression.subject import Subject
from roofline.degradation import gguf, holdout, methods, pruning, tables, tasks
from roofline.degradation.fits import TERMS
from roofline.laws import load_law
from roofline.workload import Workload

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


_TEMPLATE = Path(__file__).parent / "report.md"


def fits() -> pd.DataFrame:
    """Return every line's coefficients with their errors."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for name in methods.METHODS:
        lines = {"LLaMA-1 and Llama-2": methods.published, "all rows": methods.fitted}
        for kind, make in lines.items():
            if name == "efficientqat" and make is methods.published:
                continue
            line = make(name)
            row: dict[str, Any] = {"method": name, "rows of": kind, "points": line.points}
            for term in TERMS:
                told = term in line.terms or (term == "tokens" and line.borrowed)
                value, error = line.coefficient(term)
                row[term] = round(value, 3) if told else None
                row[f"{term}_se"] = round(error, 3) if told else None
            row |= {"sd": round(line.sd, 3), "rms": round(line.rms, 3), "borrowed": line.borrowed}
            rows.append(row)
    constant, slope, sd, points = gguf.line()
    rows.append(
        {"method": "gguf", "rows of": "Llama-3-8B, bits a weight", "points": points,
         "constant": round(constant, 3), "bits": round(slope, 3), "sd": round(sd, 3)}
    )  # fmt: skip
    carried = gguf.carried()
    errors = np.sqrt(np.diag(carried.covariance))
    rows.append(
        {"method": "gguf", "rows of": "from Llama-3-8B to another model", "points": carried.pairs,
         "size": round(carried.size, 3), "size_se": round(float(errors[0]), 3),
         "tokens": round(carried.tokens, 3), "tokens_se": round(float(errors[1]), 3),
         "sd": round(carried.sd, 3)}
    )  # fmt: skip
    for name in pruning.METHODS:
        sd, points = pruning.sd(name)
        rows.append(
            {"method": f"prune:{name}", "rows of": "Llama-2", "points": points, "sd": round(sd, 3)}
        )
    return pd.DataFrame(rows)


def larger_models() -> pd.DataFrame:
    """Return the rows of 30B, 65B and 70B beside lines fitted on 7B and 13B."""
    import pandas as pd

    rows = [
        {
            "method": each.row.method,
            "model": each.row.model,
            "bits": int(each.row.bits),
            "group": each.row.group,
            "measured": round(each.row.nats, 4),
            "predicted": round(each.nats, 4),
            "ratio": round(each.ratio, 3),
        }
        for name in ("gptq", "rtn", "awq", "omniquant")
        for each in holdout.larger(name)[1]
    ]
    return pd.DataFrame(rows)


def held_out() -> pd.DataFrame:
    """Return how far predictions of held-out models, methods and sizes err, a line each."""
    import pandas as pd

    rows: list[dict[str, Any]] = []

    def add(kind: str, name: str, found: list[holdout.Prediction]) -> None:
        summary = {key: round(value, 3) for key, value in holdout.summary(found).items()}
        rows.append({"held out": kind, "method": name} | summary)

    for name in ("gptq", "rtn", "awq", "omniquant"):
        add("30B, 65B, 70B; fitted on 7B, 13B", name, holdout.larger(name)[1])
    for name in methods.METHODS:
        add("a model at a time", name, holdout.models(name))
    for name in methods.METHODS:
        add("the method; fitted on the others", name, holdout.method(name))
    add("the method; GPTQ's line", "quip", holdout.quip())
    return pd.DataFrame(rows)


def divergences() -> pd.DataFrame:
    """Return nats over the Kullback-Leibler divergence, row by row."""
    import pandas as pd

    return pd.DataFrame(
        [
            {"model": row.model, "type": row.name, "imatrix": row.imatrix,
             "nats": round(row.nats, 6), "divergence": row.divergence, "ratio": round(ratio, 3)}
            for row, ratio in gguf.divergence()
        ]
    )  # fmt: skip


def decays() -> pd.DataFrame:
    """Return kappa by task."""
    import pandas as pd

    return pd.DataFrame([vars(tasks.decay(task)) for task in tasks.TASKS]).round(3)


def experiment(result: Result) -> pd.DataFrame:
    """Return what rounding takes from each optimiser's networks, means over seeds."""
    import pandas as pd

    rows = []
    for g, group in enumerate(GROUPS):
        for b, bits in enumerate(BITS):
            given = result.given_up[:, :, g, b]
            row: dict[str, Any] = {"bits": bits, "group": group or "channel"}
            for i, optimiser in enumerate(OPTIMISERS):
                mean, error = mean_and_error(given[i])
                row |= {optimiser: round(mean, 5), f"{optimiser}_se": round(error, 5)}
            apart, error = mean_and_error(given[1] - given[0])
            row |= {"muon_less_adam": round(apart, 5), "se": round(error, 5)}
            mean, error = mean_and_error(given[0])
            known = mean > 4 * error
            row["ratio"] = round(float(given[1].mean() / mean), 3) if known else None
            rows.append(row)
    return pd.DataFrame(rows)


def experiment_figure(result: Result) -> Figure:
    """Draw what rounding takes, by bits, a point a seed and a mean with its error."""
    import matplotlib.style
    from matplotlib.figure import Figure

    from roofline.drawing.style import BLUE, FAINT, ORANGE, STYLE
    from roofline.drawing.titles import write_title

    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(7.0, 4.0), layout="constrained")
        panels = figure.subplots(1, len(GROUPS), sharey=True)
        narrow = [(b, bits) for b, bits in enumerate(BITS) if bits < 8]
        for g, (group, axes) in enumerate(zip(GROUPS, panels, strict=True)):
            for i, (optimiser, colour) in enumerate(zip(OPTIMISERS, (BLUE, ORANGE), strict=True)):
                for x, (b, _) in enumerate(narrow):
                    given = result.given_up[i, :, g, b]
                    at = x + 0.24 * (i - 0.5)
                    jitter = np.linspace(-0.05, 0.05, len(given))
                    axes.scatter(at + jitter, given, s=9, color=colour, alpha=0.5, linewidths=0)
                    mean, error = mean_and_error(given)
                    axes.errorbar(
                        at + 0.1, mean, 2 * error, fmt="_", color=colour, capsize=3, lw=1.4,
                        label=optimiser.capitalize() if x == 0 else None,
                    )  # fmt: skip
            axes.set_xticks(range(len(narrow)), [f"{bits} bits" for _, bits in narrow])
            axes.set_title(f"One scale for {group} weights" if group else "One scale for a row")
            axes.set_yscale("log")
            axes.grid(axis="y", color=FAINT, alpha=0.35, lw=0.5)
        panels[0].set_ylabel("Loss given up (nats per character)")
        panels[0].legend(loc="upper left")
        write_title(
            figure,
            "What rounding the weights takes of a network trained by Adam and by Muon\n"
            f"A point a seed, {result.given_up.shape[1]} seeds; bars: mean and two standard errors",
        )
    return figure


def holdout_figure() -> Figure:
    """Draw measured against predicted loss changes of 30B, 65B and 70B."""
    import matplotlib.style
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    from roofline.drawing.style import BLUE, FAINT, GREEN, GREY, ORANGE, STYLE
    from roofline.drawing.titles import write_title

    colours = {"gptq": BLUE, "rtn": ORANGE, "awq": GREEN, "omniquant": GREY}
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(5.6, 5.2), layout="constrained")
        axes = figure.add_subplot()
        ends = np.array([0.012, 1.7])
        axes.fill_between(ends, ends / 1.5, ends * 1.5, color=FAINT, alpha=0.4, linewidth=0)
        axes.plot(ends, ends, color=GREY, lw=0.8)
        for name, colour in colours.items():
            found = holdout.larger(name)[1]
            axes.scatter(
                [each.row.nats for each in found], [each.nats for each in found],
                s=18, color=colour, label=name.upper() if name != "omniquant" else "OmniQuant",
            )  # fmt: skip
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(*ends)
        axes.set_ylim(*ends)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter(NullFormatter())
        axes.set_aspect("equal")
        axes.grid(color=FAINT, alpha=0.35, lw=0.5)
        axes.set_xlabel("Measured loss added (nats per token)")
        axes.set_ylabel("Predicted from 7B and 13B (nats per token)")
        write_title(
            figure,
            "Loss that 3 and 4 bits add to 30B, 65B and 70B\nBand: a factor of 1.5; fitted to "
            "7B and 13B alone",
        )
        axes.legend(loc="upper left")
    return figure


def _table(frame: pd.DataFrame) -> str:
    """A frame as a table in Markdown."""
    lines = ["| " + " | ".join(map(str, frame.columns)) + " |", "|---" * len(frame.columns) + "|"]
    for row in frame.itertuples(index=False):
        cells = ["" if cell is None or cell != cell else f"{cell}" for cell in row]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _halves() -> pd.DataFrame:
    import pandas as pd

    rows = []
    for model in ("llama-3.2-3b", "llama-7b"):
        for before, after in speed.halves(model):
            memory, latency, floor = speed.change(before, after)
            rows.append(
                {
                    "model": model,
                    "where": before.where,
                    "tok/s, 16 bits": round(before.tokens_per_s, 1),
                    "tok/s, int4-g128": round(after.tokens_per_s, 1),
                    "memory, times less": round(memory, 2),
                    "latency a token": f"{100 * latency:+.0f} %",
                    "the floor's": f"{100 * floor:+.0f} %",
                }
            )
    return pd.DataFrame(rows)


def write(result: Result, folder: Path) -> list[str]:
    """Write tables, figures and README; return the names of the files."""
    folder.mkdir(parents=True, exist_ok=True)
    beside = speed.frame()
    frames = {
        "fits": fits(),
        "larger_models": larger_models(),
        "held_out": held_out(),
        "divergence": divergences(),
        "tasks": decays(),
        "speed": beside.round(3),
        "experiment": experiment(result),
        "seeds": _seeds(result),
        "tuning": _tuning(result),
    }
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    example = phone()
    front_figure(example, "a phone (sd8elite)").savefig(folder / "recipes.png", dpi=150)
    experiment_figure(result).savefig(folder / "experiment.png", dpi=150)
    holdout_figure().savefig(folder / "larger_models.png", dpi=150)
    (folder / "README.md").write_text(_readme(result, frames, beside, example))
    drawn = ("experiment.png", "larger_models.png", "recipes.png")
    return [*(f"{name}.csv" for name in frames), *drawn, "README.md"]


def _seeds(result: Result) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for i, optimiser in enumerate(OPTIMISERS):
        for seed in range(result.full.shape[1]):
            row: dict[str, Any] = {"optimiser": optimiser, "seed": seed}
            row |= {"loss": round(float(result.full[i, seed]), 5)}
            row |= {"largest_over_rms": round(float(result.peaks[i, seed]), 3)}
            for g, group in enumerate(GROUPS):
                for b, bits in enumerate(BITS):
                    key = f"int{bits}-{f'g{group}' if group else 'channel'}"
                    row[key] = round(float(result.given_up[i, seed, g, b]), 6)
            rows.append(row)
    return pd.DataFrame(rows)


def _tuning(result: Result) -> pd.DataFrame:
    import pandas as pd

    from roofline.compression.experiment.run import RATES

    return pd.DataFrame(
        [
            {"optimiser": name, "rate": rate, "loss": round(float(result.tuning[i, j]), 4)}
            for i, name in enumerate(OPTIMISERS)
            for j, rate in enumerate(RATES[name])
        ]
    )


def verdict(result: Result) -> str:
    """Say in a sentence which optimiser's networks give up less, whatever came out."""
    parts = []
    for b, bits in enumerate(BITS):
        given = result.given_up[:, :, 0, b]
        apart, error = mean_and_error(given[1] - given[0])
        if abs(apart) < 2 * error:
            parts.append(f"at {bits} bits the two cannot be told apart")
        else:
            who = "less" if apart < 0 else "more"
            ratio = given[1].mean() / given[0].mean()
            parts.append(
                f"at {bits} bits Muon's give up {who}, {ratio:.2f} times Adam's "
                f"({apart:+.4f} ± {error:.4f} nats)"
            )
    return "With a scale a row, " + "; ".join(parts) + "."


def phone() -> Found:
    """Search the recipes of Llama-3.2-3B for the shipped phone within 3 GB."""
    small = Subject(
        load_model("llama-3.2-3b"), tables.model("llama-3.2-3b").tokens, load_law("supervised")
    )
    judged = [*recipes(small), published("llama-3.1-70b")]
    found = outcome(judged, small, load_device("phone"), Workload(prompt=512, generate=128))
    return search(found, {"memory": 3e9}, len(judged) - 1)


def _laws() -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        [
            {"law": law, "least": round(least, 2), "most": round(most, 2)}
            for law, (least, most) in errors().items()
        ]
    )


def _readme(
    result: Result, frames: dict[str, pd.DataFrame], beside: pd.DataFrame, example: Found
) -> str:
    plan, full = result.plan, result.full
    losses = [mean_and_error(full[i]) for i in range(len(OPTIMISERS))]
    peaks = [mean_and_error(result.peaks[i]) for i in range(len(OPTIMISERS))]
    gptq = frames["larger_models"].query("method == 'gptq'")["ratio"]
    types = [
        ratio
        for row, ratio in gguf.divergence()
        if row.model == "llama-3-8b" and row.name not in ("q6_k", "q8_0")
    ]
    error = beside.set_index(["model", "format"])["error"]
    rates = ", ".join(f"{name} {rate:g}" for name, rate in result.rates.items())
    table = tables.read("omniquant_mlc_a100.csv")
    tokens_per_s = {
        (row["model"], row["scheme"]): float(row["tok_per_s"]) for row in table if row["tok_per_s"]
    }
    schemes = ("FP16", "W4A16g128", "W3A16g128")
    seven = {scheme: tokens_per_s["LLaMA-7B", scheme] for scheme in schemes}
    changes = [100 * speed.change(*pair)[1] for pair in speed.halves("llama-7b")]
    small = load_model("llama-3.2-3b").with_formats("int4-g128")
    own_head = replace(small, tied_embedding=np.array(False))
    return _TEMPLATE.read_text().format(
        **{name: _table(frames[name]) for name in ("fits", "held_out", "tasks", "experiment")},
        collapse=tables.COLLAPSE,
        least=gptq.min(),
        most=gptq.max(),
        kld_least=min(types),
        kld_most=max(types),
        speeds=_table(_speeds(beside)),
        three_bits=seven["W3A16g128"] / seven["W4A16g128"],
        three_error=100 * error["llama-7b", "int3-g128"],
        thirty_error=100 * error["llama-33b", "int4-g128"],
        published=100 * (seven["FP16"] / seven["W4A16g128"] - 1),
        mlc=changes[0],
        vllm=changes[1],
        stored=weight_bytes(small)[0] / 1e9,
        untied=weight_bytes(own_head)[0] / 1e9,
        halves=_table(_halves()),
        laws=_table(_laws()),
        chosen=" ".join(account.sentences(example)),
        arc_with_guess=tasks.decay("arc-challenge", guess=0.01).kappa,
        plan=plan,
        rates=rates,
        losses=losses,
        peaks=peaks,
        verdict=verdict(result),
    )


def _speeds(beside: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            "where": beside["where"],
            "model": beside["model"],
            "format": beside["format"],
            "published": beside["published"],
            "engine": beside["tokens_per_s"].round(1),
            "error": [f"{100 * e:+.0f} %" for e in beside["error"]],
            "published GB": (beside["published_bytes"] / 1e9).round(2),
            "engine GB": (beside["memory_bytes"] / 1e9).round(2),
        }
    )
