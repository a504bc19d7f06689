"""`roofline fit`: fit a loss law to a team's own runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roofline.cli import options, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roofline.fitting import Fit, HeldOut, Runs
    from roofline.laws import Law


def fit(
    runs: Annotated[
        str | None,
        typer.Argument(
            help="Runs: a CSV, JSON-lines or Parquet file with a loss a row, or a registered data "
            "set (--datasets lists them).",
            metavar="RUNS",
            show_default=False,
        ),
    ] = None,
    form: Annotated[
        str,
        typer.Option(
            "--form",
            "-f",
            help="A form of law, or a YAML file with one's own.",
            metavar="NAME|FILE",
        ),
    ] = "chinchilla",
    holdout: Annotated[
        str | None,
        typer.Option(
            help="Rows to predict and not to fit, such as 'N > 5e8'.", metavar="CONDITION"
        ),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(help="Rows to take at all, such as \"set == 'c4'\".", metavar="CONDITION"),
    ] = None,
    best_of: Annotated[
        str | None,
        typer.Option(
            help="Of rows that agree in these columns, take the one of least loss: for grids over "
            "settings that no law sees.",
            metavar="COLUMN,...",
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="Which column holds a variable, `loss` or `run`; repeat for several.",
            metavar="VARIABLE=COLUMN",
        ),
    ] = None,
    give: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="A number that is the same for all runs.", metavar="COLUMN=VALUE"
        ),
    ] = None,
    fix: Annotated[
        list[str] | None,
        typer.Option(help="Hold a coefficient; repeat for several.", metavar="NAME=VALUE"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Law to write, for --law.", metavar="FILE", dir_okay=False
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Folder for tables and the figure of residuals.", metavar="FOLDER"),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the law; by default its file's.")
    ] = None,
    tokens: options.Tokens = None,
    ladder: Annotated[
        Path | None,
        typer.Option(
            help="Take RUNS for the ladder of this plan of `roofline export`: does the law hold, "
            "and does the choice still stand?",
            metavar="PLAN",
        ),
    ] = None,
    starts: Annotated[int, typer.Option(help="Starts of the search.", min=1)] = 64,
    replicates: Annotated[
        int, typer.Option("--bootstrap", help="Replicates behind the intervals; 0 for none.", min=0)
    ] = 300,
    seed: Annotated[int, typer.Option(help="Of starts and bootstrap.", min=0)] = 0,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that exists.")] = False,
    list_datasets: Annotated[
        bool, typer.Option("--datasets", help="List the registered data sets and leave.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Fit a loss law to your own training runs, and say what they can tell.

    **Examples**

    `roofline fit runs.csv --form chinchilla --holdout "N > 5e8" -o my-law.yaml`: coefficients
    with intervals, judged on the largest runs; a law file.

    `roofline fit runs.csv --form my-form.yaml --report fit/`, `roofline sweep -d phone --law
    my-law.yaml`

    Huber loss (delta .001) of ln(law / measured), from many starts; 95 % intervals from a bootstrap
    of whole runs; a coefficient that the runs cannot tell is said to be so. Columns are known by
    the names of variables and their usual symbols (N, D, loss, run, ...).
    """
    from roofline.fitting import fit as fit_law
    from roofline.fitting import hold_out, load_form
    from roofline.fitting.law_file import check_range, fitted_law, to_yaml
    from roofline.fitting.report import write_report
    from roofline.outputs import check_file, check_folder, write_text
    from spec_files import SpecError

    if list_datasets:
        _list(as_json)
        return
    if runs is None:
        raise SpecError("no runs were named: roofline fit runs.csv, or --datasets for those known")
    if ladder is not None:
        from roofline.cli.export import check_ladder

        check_ladder(ladder, runs, as_json)
        return
    if out is not None:
        if out.exists() and any(out.samefile(each) for each in (runs, form) if Path(each).exists()):
            raise SpecError(f"-o {out} is what is read: a law is written to a file of its own")
        check_file(out, force)
    if report is not None:
        check_folder(report, option="--report")
    law = load_form(form)
    table = _runs(runs, column, give, where, best_of)
    count = options.parse_count(tokens, "tokens")
    held_fixed = _numbers(fix, "--fix")
    if out is not None:
        check_range(law, table, count)
    found = fit_law(law, table, fixed=held_fixed, starts=starts, replicates=replicates, seed=seed)
    held: Sequence[HeldOut] = ()
    if holdout is not None:
        held = hold_out(law, table, holdout, fixed=held_fixed, starts=starts, seed=seed)
    called = name or _slug((out or Path(runs)).stem)
    if out is not None:
        write_text(out, to_yaml(fitted_law(found, called, tokens=count)))
    if report is not None:
        write_report(report, found, held, called)
    _print(found, held, law, as_json)
    if not as_json:
        if out is not None:
            show.note(f"Wrote {out}. Try: roofline estimate -m qwen3-0.6b -d phone --law {out}")
        if report is not None:
            show.note(f"Wrote {report}/: report.md, residuals.png, residuals.csv, fit.json.")


def _runs(
    runs: str, column: list[str] | None, give: list[str] | None, where: str | None,
    best_of: str | None,
) -> Runs:  # fmt: skip
    from dataclasses import replace

    from roofline.fitting import datasets, load_dataset, read_runs
    from spec_files import SpecError, did_you_mean

    known = datasets()
    columns = options.given(column) if column else {}
    if runs in known and not Path(runs).is_file():
        table = load_dataset(runs)
        table = replace(table, columns={**table.columns, **columns})
    elif not Path(runs).exists() and not Path(runs).suffix:
        raise SpecError(f"{runs}: no such file or data set{did_you_mean(runs, known)}")
    else:
        table = read_runs(runs, columns)
    for name, value in _numbers(give, "--set").items():
        table = table.with_constant(name, value)
    if where is not None:
        picked = table.where(where)
        if not picked.any():
            raise SpecError(f"--where: {where!r} picks none of the {len(table)} rows")
        table = table.keep(picked, where)
    if best_of is not None:
        table = table.best_of([each.strip() for each in best_of.split(",")])
    return table


def _numbers(words: list[str] | None, option: str) -> dict[str, float]:
    """Read NAME=VALUE words whose values are numbers."""
    import math

    from spec_files import SpecError

    found = {}
    for word in words or []:
        name, equals, text = word.partition("=")
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not equals or not math.isfinite(value):
            raise SpecError(f"{option}: read {word!r}; write NAME=VALUE, the value a number")
        found[name.strip()] = value
    return found


def _print(found: Fit, held: Sequence[HeldOut], law: Law, as_json: bool) -> None:
    from roofline.fitting import report

    if as_json:
        show.print_json(report.as_dict(found, held))
        return
    show.table(f"{law.form}", report.COEFFICIENTS, report.coefficient_rows(found))
    for sentence in report.sentences(found):
        show.note(sentence)
    if held:
        first = held[0]
        title = f"Fitted on {first.fitted} rows, held out {first.held}"
        show.table(title, report.HELD_OUT, report.held_out_rows(held))
        best = min(held, key=lambda each: each.mape)
        if best is not first:
            show.note(f"A simpler form predicts the held-out rows better: {best.form}.")


def _list(as_json: bool) -> None:
    from roofline.fitting import datasets

    known = datasets()
    if as_json:
        show.print_json({name: each.model_dump() for name, each in known.items()})
        return
    rows = [[name, each.holds, each.licence, each.origin] for name, each in known.items()]
    show.table("Data sets", ["name", "holds", "licence", "origin"], rows)
    show.note("They are found in the folder that ROOFLINE_DATA names.")


def _slug(stem: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", stem.lower()).strip("-") or "law"
