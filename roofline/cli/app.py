"""The commands, put together. Each imports what it needs when it runs, so that --help is quick."""

import typer

from roofline.cli import (
    budget,
    calibrate,
    codesign,
    compare,
    compress,
    estimate,
    export,
    fit,
    graph,
    laws,
    listings,
    new,
    probe,
    strategies,
    sweep,
    validate,
)

app = typer.Typer(
    name="roofline",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Hardware co-design for on-device language models: from a device profile to a model "
    "worth training.\n\n**Examples**\n\n`roofline sweep --device phone --max-tpot 50ms`\n\n"
    "`roofline estimate --model qwen2.5-0.5b --device jetson-agx-orin-64gb --weights int4`\n\n"
    "`roofline compare -m llama-3.2-1b -m qwen3-0.6b -d phone -d raspberry-pi-5 --weights q4_k_m`",
)
app.command("sweep")(sweep.sweep)
app.command("estimate")(estimate.estimate)
app.command("compare")(compare.compare)
app.command("compress")(compress.compress)
app.command("budget")(budget.budget)
app.command("codesign")(codesign.codesign)
app.command("export")(export.export)
app.command("fit")(fit.fit)
app.command("graph")(graph.graph)
app.command("probe")(probe.probe)
app.command("calibrate")(calibrate.calibrate)
app.command("validate")(validate.validate)
app.command("new-device")(new.new_device)
app.command("new-space")(new.new_space)
app.command("runtimes")(listings.list_runtimes)
app.add_typer(listings.devices, name="devices")
app.add_typer(listings.models, name="models")
app.add_typer(laws.laws, name="laws")
app.add_typer(strategies.strategies, name="strategies")


@app.callback(invoke_without_command=True)
def _top(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and leave."),
) -> None:
    if version:
        from roofline import __version__

        typer.echo(f"roofline {__version__}")
        raise typer.Exit
