"""`roofline graph`: the collaboration graph of models that a budget buys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roofline.cli import options, show

if TYPE_CHECKING:
    from roofline.graphs.device import DeviceCost
    from roofline.graphs.ledger import Ledger
    from roofline.graphs.pool import Pool, Task
    from roofline.graphs.problem import Problem
    from roofline.graphs.run import Found
    from roofline.graphs.search.proposers.endpoint import Endpoint
    from roofline.graphs.surrogate import Surrogate


def graph(
    context: typer.Context,
    task: Annotated[
        str | None,
        typer.Option(
            help="A published task (math, mmlu, humaneval) or the path of a task's file.",
            metavar="NAME|FILE",
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            help="What a graph may cost: units (18; one is a node of the smallest model), or by "
            "the objective a time (20s) or an energy (100J).",
            metavar="AMOUNT",
        ),
    ] = None,
    objective: Annotated[
        str, typer.Option(help="What the budget counts: flops, latency or energy.")
    ] = "flops",
    device: Annotated[
        str | None,
        typer.Option(
            "--device", "-d", help="A shipped device or the path of a profile.", metavar="NAME|FILE"
        ),
    ] = None,
    pool: Annotated[
        str, typer.Option(help="Models that may be placed.", metavar="NAME,NAME,...")
    ] = "1b,3b,8b",
    models: Annotated[
        Path | None,
        typer.Option(help="File of models in place of the published ones.", metavar="FILE"),
    ] = None,
    method: Annotated[
        str, typer.Option(help="agent, reinforce, random, bayesian or exhaustive.")
    ] = "agent",
    evaluations: Annotated[
        int, typer.Option(min=1, help="Graphs to evaluate; exhaustive evaluates all.")
    ] = 30,
    seed: Annotated[int, typer.Option(min=0, help="Of whatever a method draws.")] = 0,
    nodes: Annotated[
        int | None,
        typer.Option(
            min=1, max=32, help="Most nodes before the sink; by default what fits, up to 12."
        ),
    ] = None,
    fan_in: Annotated[
        int | None,
        typer.Option(min=1, help="Most answers that a node reads; more edges cost nothing."),
    ] = None,
    weights: options.Weights = None,
    kv: options.Kv = None,
    processor: options.Processor = None,
    runtime: options.Runtime = None,
    swap_bandwidth: Annotated[
        str | None,
        typer.Option(
            help="Storage to memory, as in 2GB/s; without it the models of a graph must fit the "
            "memory together.",
            metavar="RATE",
        ),
    ] = None,
    utility: Annotated[
        str | None,
        typer.Option(
            help="Your own benchmark in place of the surrogate: module:function of a graph's "
            "dictionary, or a command that gets the graph as JSON on standard input; either gives "
            "a number, the higher the better.",
            metavar="MODULE:FUNCTION|COMMAND",
        ),
    ] = None,
    utility_timeout: Annotated[
        str, typer.Option(help="For one graph, of a command.", metavar="TIME")
    ] = "600s",
    on_utility_failure: Annotated[
        str, typer.Option(help="A benchmark that gives no number: stop, or skip the graph.")
    ] = "stop",
    endpoint: Annotated[
        str | None,
        typer.Option(
            help="OpenAI-compatible address of a language model that proposes the agent's graphs; "
            "by default rules do, without a network.",
            metavar="URL",
        ),
    ] = None,
    endpoint_model: Annotated[
        str | None, typer.Option(help="Its name at the endpoint.", metavar="NAME")
    ] = None,
    endpoint_timeout: Annotated[
        str, typer.Option(help="For one answer of the endpoint.", metavar="TIME")
    ] = "60s",
    key_variable: Annotated[
        str, typer.Option(help="Environment variable that holds its key.", metavar="NAME")
    ] = "OPENAI_API_KEY",
    on_failure: Annotated[
        str, typer.Option(help="An endpoint that fails: stop, or go on by rules.")
    ] = "stop",
    file: Annotated[
        Path | None,
        typer.Option("--graph", help="Price and predict this graph instead of a search."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for graph.json, history.csv and graph.png."),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            help="Go on with the search of a folder, by its own options.", metavar="FOLDER"
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Search the graph of collaborating models that answers a task best within a budget.

    **Examples**

    `roofline graph --task math --budget 18 -o graph`: the best graph that 18 units of FLOPs
    buy, and what was tried.

    `roofline graph --task mmlu --budget 60s --objective latency --device phone --weights q4_k_m
    --swap-bandwidth 2GB/s`

    `roofline graph --task humaneval --budget 15 --pool 1b,3b --method exhaustive --nodes 4 --json`

    Costs in FLOPs and the tasks are those of arXiv 2511.00086; on a device the engine prices them.
    The predicted accuracy is a surrogate's, fitted to a few published scores: see docs/graphs.md.
    """
    given = {name: value for name, value in locals().items() if name not in _APART}
    if resume is not None:
        options.refuse_unheeded(
            context, {"resume", "as_json"}, "--resume goes on by the folder's own options"
        )
        from roofline.graphs.folder import settings_of

        given = _settings(settings_of(resume), given) | {"out": resume}
    else:
        _refuse_unheeded(context, given)
    _answer(given, resume is not None, as_json)


_APART = {"context", "as_json", "resume"}
_PRICED = {
    "file", "task", "pool", "models", "fan_in", "device", "weights", "kv", "processor", "runtime",
    "swap_bandwidth", "as_json",
}  # fmt: skip
_OF_UTILITY = {"utility_timeout", "on_utility_failure"}
_OF_ENDPOINT = {"endpoint_timeout", "key_variable", "on_failure"}


def _refuse_unheeded(context: typer.Context, given: dict[str, Any]) -> None:
    """Refuse options that the rest of the command line leaves without effect."""
    named = set(context.params)
    if given["file"] is not None:
        options.refuse_unheeded(context, _PRICED, "--graph prices one graph and searches for none")
    if given["utility"] is None:
        options.refuse_unheeded(context, named - _OF_UTILITY, "no --utility was named")
    if given["endpoint"] is None:
        options.refuse_unheeded(context, named - _OF_ENDPOINT, "no --endpoint was named")


_PATHS = ("models", "file", "out")
_COUNTS = ("evaluations", "seed", "nodes", "fan_in")


def _settings(saved: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Options of the search that goes on; SpecError where its file holds others."""
    from spec_files import SpecError

    wrong = sorted(set(saved) ^ (set(given) - {"out"}))
    if wrong:
        raise SpecError(
            f"--resume: the search's options are not those of this version: {wrong[0]!r} is "
            f"{'unknown' if wrong[0] in saved else 'missing'}"
        )
    for name, value in saved.items():
        kinds = (int,) if name in _COUNTS else (str,)
        absent = value is None and (given[name] is None or name in ("task", "budget"))
        if not absent and (not isinstance(value, kinds) or isinstance(value, bool)):
            raise SpecError(f"--resume: the search's {name} is {value!r}, which it cannot be")
    return {name: Path(v) if name in _PATHS and v else v for name, v in saved.items()}


def _answer(given: dict[str, Any], resumed: bool, as_json: bool) -> None:
    from roofline.graphs.cost import FlopCost
    from roofline.graphs.pool import load_pool, load_task, shipped_tasks
    from roofline.graphs.problem import make_problem, read_budget
    from roofline.graphs.surrogate import fit, published
    from spec_files import SpecError, did_you_mean

    if given["task"] is None:
        raise SpecError(f"--task: no task was named{did_you_mean('', shipped_tasks())}")
    _check(given)
    named = [name.strip() for name in given["pool"].split(",") if name.strip()]
    pool, task = load_pool(named, given["models"]), load_task(given["task"])
    flops = FlopCost.of(pool, task, given["fan_in"])
    priced = _device(given, pool, task)
    surrogate = published()
    if task.title not in surrogate.coefficients and any(
        sum(each.models.values()) > 1 for each in task.graphs
    ):
        surrogate = fit([*surrogate.tasks, task])
    if given["file"] is not None:
        _price_file(given["file"], pool, task, flops, priced, surrogate, as_json)
        return
    if given["budget"] is None:
        raise SpecError("--budget: none was given; write units as in 18, a time or an energy")
    problem = make_problem(
        pool, task, flops, priced, given["objective"],
        read_budget(given["budget"], given["objective"]), given["nodes"],
    )  # fmt: skip
    _search(given, problem, surrogate, resumed, as_json)


def _check(given: dict[str, Any]) -> None:
    """Refuse words that are no option, before anything is made."""
    from typing import get_args

    from roofline.graphs.ledger import OnFailure as OnUtility
    from roofline.graphs.problem import OBJECTIVES
    from roofline.graphs.run import METHODS
    from roofline.graphs.search.agent import OnFailure
    from spec_files import SpecError, did_you_mean

    for name, choices in (
        ("objective", OBJECTIVES),
        ("method", METHODS),
        ("on_failure", get_args(OnFailure)),
        ("on_utility_failure", get_args(OnUtility)),
    ):
        if given[name] not in choices:
            hint = did_you_mean(given[name], choices)
            raise SpecError(f"--{name.replace('_', '-')}: unknown option {given[name]!r}{hint}")
    if given["device"] is None:
        for name in ("weights", "kv", "processor", "runtime", "swap_bandwidth"):
            if given[name] is not None:
                raise SpecError(
                    f"--{name.replace('_', '-')} needs a device: name one with --device"
                )
    if given["endpoint"] is not None and given["method"] != "agent":
        raise SpecError(f"--endpoint: method {given['method']} asks no language model")
    if given["endpoint_model"] is not None and given["endpoint"] is None:
        raise SpecError("--endpoint-model: no endpoint was named; say --endpoint")


def _device(given: dict[str, Any], pool: Pool, task: Task) -> DeviceCost | None:
    from hardware_specs import load_device
    from roofline.graphs.device import DeviceCost

    if given["device"] is None:
        return None
    rate = _quantity(given, "swap_bandwidth", "bandwidth")
    return DeviceCost(
        pool, task, load_device(given["device"]),
        processor=given["processor"], runtime=given["runtime"],
        formats=(given["weights"], None, given["kv"], None),
        swap_bandwidth=rate, fan_in=given["fan_in"],
    )  # fmt: skip


def _quantity(given: dict[str, Any], name: str, dimension: str) -> float | None:
    """Read a positive quantity of an option; None where it was not given."""
    from spec_files import SpecError, parse_quantity

    if given[name] is None:
        return None
    option = f"--{name.replace('_', '-')}"
    try:
        value = parse_quantity(given[name], dimension)
    except SpecError as error:
        raise SpecError(f"{option}: {error}") from None
    if value <= 0:
        raise SpecError(f"{option}: read {given[name]!r}; it must be above zero")
    return value


def _endpoint(given: dict[str, Any]) -> Endpoint | None:
    from roofline.graphs.search.proposers.endpoint import Endpoint

    if given["endpoint"] is None:
        return None
    seconds = _quantity(given, "endpoint_timeout", "time") or 0.0
    return Endpoint(
        given["endpoint"], given["endpoint_model"] or "", seconds, given["key_variable"]
    )


def _price_file(
    file: Path,
    pool: Pool,
    task: Task,
    flops: Any,
    priced: DeviceCost | None,
    surrogate: Surrogate,
    as_json: bool,
) -> None:
    from roofline.graphs.files import read_graph
    from roofline.graphs.run import describe

    found = describe(read_graph(file, pool), pool, task, flops, priced, surrogate)
    if as_json:
        _print_json(found.to_dict(pool))
        return
    _print_graph(f"{file} on {task.title}", [("", found)], pool, False)


def _search(
    given: dict[str, Any], problem: Problem, surrogate: Surrogate, resumed: bool, as_json: bool
) -> None:
    from roofline.graphs.folder import HISTORY, new_folder
    from roofline.graphs.ledger import Ledger
    from roofline.graphs.run import search
    from roofline.graphs.utility import SurrogateUtility, load_utility
    from spec_files import SpecError

    own = given["utility"]
    seconds = _quantity(given, "utility_timeout", "time") or 0.0
    utility = (
        SurrogateUtility(surrogate, problem.task, problem.pool)
        if own is None
        else load_utility(own, problem.pool, seconds)
    )
    proposer = _endpoint(given)
    out: Path | None = given["out"]
    ledger = Ledger(
        problem, utility, given["evaluations"], on_failure=given["on_utility_failure"],
        file=None if out is None else out / HISTORY,
    )  # fmt: skip
    if out is not None and resumed:
        ledger.resume()
    elif out is not None:
        saved = {name: value for name, value in given.items() if name != "out"}
        new_folder(out, {k: str(v) if isinstance(v, Path) else v for k, v in saved.items()})
    stopped: SpecError | KeyboardInterrupt | None = None
    try:
        search(
            ledger, given["method"], given["seed"], proposer, given["on_failure"],
            lambda sentence: show.note(sentence, error=True),
        )  # fmt: skip
    except (SpecError, KeyboardInterrupt) as reason:
        stopped = reason
    if ledger.best(earlier=True):
        _report(given, problem, surrogate, ledger, stopped is None, as_json)
    elif stopped is None:
        raise SpecError(_nothing_heard(ledger))
    if stopped is not None:
        raise stopped


def _nothing_heard(ledger: Ledger) -> str:
    """Say why a search that went to its end has no answer."""
    last = f"; the last: {ledger.entries[-1].note}" if ledger.entries else ""
    return f"--utility gave no number for any of the {ledger.asked} graphs that it was asked{last}"


def _report(
    given: dict[str, Any],
    problem: Problem,
    surrogate: Surrogate,
    ledger: Ledger,
    finished: bool,
    as_json: bool,
) -> None:
    """Print and write the best graph and the runner-up of what was heard."""
    from roofline.graphs.folder import write_answer
    from roofline.graphs.run import describe

    found = [
        describe(
            entry.graph, problem.pool, problem.task, problem.flops, problem.device, surrogate,
            entry.utility,
        )
        for entry in ledger.best(2, earlier=True)
    ]  # fmt: skip
    best, runner_up = found[0], found[1] if len(found) > 1 else None
    title = (
        f"{problem.task.title} within {problem.say(problem.budget)}: {_share(best.accuracy)} "
        f"predicted; {best.units:.4g} units"
    )
    if given["out"] is not None:
        write_answer(given["out"], best, runner_up, problem.pool, title)
    if as_json:
        said = best.to_dict(problem.pool)
        said["about"]["runner_up"] = None if runner_up is None else runner_up.to_dict(problem.pool)
        said["about"] |= {
            "task": problem.task.title, "objective": problem.objective, "budget": problem.budget,
            "method": given["method"], "seed": given["seed"], "evaluations": ledger.asked,
            "finished": finished,
        }  # fmt: skip
        _print_json(said)
        return
    named = [("best", best)] + ([] if runner_up is None else [("runner-up", runner_up)])
    heading = (
        f"{problem.task.title} within {problem.say(problem.budget)}, of at most {problem.nodes} "
        f"nodes: {ledger.asked} evaluations by {given['method']}"
        f"{'' if finished else ', which stopped early'}"
    )
    _print_graph(heading, named, problem.pool, given["utility"] is not None)
    if given["out"] is not None:
        names = sorted(path.name for path in given["out"].iterdir())
        show.note(f"Wrote {given['out']}/: {', '.join(names)}.")


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"


def _print_graph(heading: str, named: list[tuple[str, Found]], pool: Pool, own: bool) -> None:
    from roofline.graphs.drawing import text_drawing

    best = named[0][1]
    show.note(f"{heading}\n\n{text_drawing(best.graph, pool)}\n")
    rows = []
    for name, found in named:
        row = [
            f"{name}: {found.said}" if name else found.said,
            f"{found.units:.4g}",
            show.seconds(found.latency),
            show.joules(found.energy),
            show.size(found.memory),
            f"{_share(found.accuracy)} ± {100 * found.error:.1f}",
        ]
        rows.append([*row, f"{found.utility:.4g}"] if own else row)
    columns = ["graph", "units", "latency", "energy", "memory", "predicted accuracy"]
    show.table("Costs and predictions", [*columns, "utility"] if own else columns, rows)
    if not best.fits:
        show.note("The graph does not fit the device's memory, so it has no time and no energy.")
    if not best.within:
        show.note(
            "The graph is not of the kind that was fitted (answers side by side): what depth and "
            "fusers are worth is assumed, and the error does not cover it."
        )


def _print_json(data: dict[str, Any]) -> None:
    show.print_json(data)
