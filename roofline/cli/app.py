"""The commands, put together. Each imports what it needs when it runs, so that --help is quick."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    spaces,
    strategies,
    sweep,
    validate,
)
from roofline.cli.layout import arrange

if TYPE_CHECKING:
    from typer._click.core import Command

app = typer.Typer(
    name="roofline",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Hardware co-design for on-device language models: from a device profile to a model "
    "worth training.\n\n**Examples**\n\n`roofline sweep --device phone --max-tpot 50ms`\n\n"
    "`roofline estimate --model qwen2.5-0.5b --device jetson-agx-orin-64gb --weights int4`\n\n"
    "`roofline compare -m llama-3.2-1b -m qwen3-0.6b -d phone -d raspberry-pi-5 --weights q4_k_m`",
)

_SEARCH = "From a device to a model"
app.command("sweep", rich_help_panel=_SEARCH)(sweep.sweep)
app.command("estimate", rich_help_panel=_SEARCH)(estimate.estimate)
app.command("compare", rich_help_panel=_SEARCH)(compare.compare)
app.command("budget", rich_help_panel=_SEARCH)(budget.budget)
app.command("codesign", rich_help_panel=_SEARCH)(codesign.codesign)
app.command("compress", rich_help_panel=_SEARCH)(compress.compress)
app.add_typer(strategies.strategies, name="strategies", rich_help_panel=_SEARCH)
app.command("graph", rich_help_panel=_SEARCH)(graph.graph)

_TRAIN = "From a model to its training"
app.command("export", rich_help_panel=_TRAIN)(export.export)
app.command("fit", rich_help_panel=_TRAIN)(fit.fit)

_OWN = "Devices, spaces and measurements of yours"
app.command("new-device", rich_help_panel=_OWN)(new.new_device)
app.command("new-space", rich_help_panel=_OWN)(new.new_space)
app.command("probe", rich_help_panel=_OWN)(probe.probe)
app.command("calibrate", rich_help_panel=_OWN)(calibrate.calibrate)
app.command("validate", rich_help_panel=_OWN)(validate.validate)

_SHIPPED = "What is shipped"
app.add_typer(listings.devices, name="devices", rich_help_panel=_SHIPPED)
app.add_typer(listings.models, name="models", rich_help_panel=_SHIPPED)
app.add_typer(spaces.spaces, name="spaces", rich_help_panel=_SHIPPED)
app.add_typer(laws.laws, name="laws", rich_help_panel=_SHIPPED)
app.command("runtimes", rich_help_panel=_SHIPPED)(listings.list_runtimes)


def whole() -> Command:
    """Return the command line with its help laid out and its values completed."""
    command = typer.main.get_command(app)
    arrange(command)
    return command


@app.callback(invoke_without_command=True)
def _top(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and leave."),
) -> None:
    if version:
        from roofline import __version__

        typer.echo(f"roofline {__version__}")
        raise typer.Exit
