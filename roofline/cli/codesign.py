"""`roofline codesign`: what a device must be, and one architecture for several devices."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roofline.cli import options, show

if TYPE_CHECKING:
    from roofline.codesign.question import Fleet, Inverse
    from roofline.mixes import Mix
    from roofline.search.cluster import Cluster

WEIGHTS = "q4_k_m"
ALL = "all"


def _largest(what: str, example: str, metavar: str) -> typer.models.OptionInfo:
    return typer.Option(help=f"Largest {what}, e.g. {example}.", metavar=metavar)


def _ends(what: str, example: str) -> typer.models.OptionInfo:
    return typer.Option(
        help=f"Ends of the sweep of {what}, e.g. {example}; by default a tenth to ten times the "
        "template's.",
        metavar="LOW:HIGH",
    )


def codesign(
    context: typer.Context,
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            "-d",
            help="The template: a shipped device or the path of a profile, whose numbers are "
            "scaled and whose efficiencies are kept.",
            metavar="NAME|FILE",
        ),
    ] = None,
    devices: Annotated[
        str | None,
        typer.Option(
            help="A fleet in place of --device: names with commas between, with weights as in "
            "phone=2,raspberry-pi-5=1.",
            metavar="NAME|FILE,...",
        ),
    ] = None,
    loss: Annotated[
        float | None, typer.Option(help="Largest loss that is good enough.", metavar="NATS")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="A model in place of --loss: what it needs itself, and what any as good needs.",
            metavar="NAME|FILE",
        ),
    ] = None,
    max_ttft: Annotated[str | None, _largest("time to first token", "500ms", "TIME")] = None,
    max_tpot: Annotated[str | None, _largest("time per output token", "20ms", "TIME")] = None,
    max_latency: Annotated[str | None, _largest("time of the whole answer", "2s", "TIME")] = None,
    max_energy: Annotated[str | None, _largest("energy of the workload", "20J", "ENERGY")] = None,
    max_memory: Annotated[str | None, _largest("memory", "4GB", "BYTES")] = None,
    device_limit: Annotated[
        list[str] | None,
        typer.Option(
            help="Another limit for one device of the fleet: raspberry-pi-5:tpot=200ms; repeat "
            "for several.",
            metavar="DEVICE:LIMIT=VALUE",
        ),
    ] = None,
    workload: Annotated[
        str | None,
        typer.Option(
            help="A mix of workloads: chat, summarise, voice, agent, code or the path of one; "
            "several with commas, with weights as in chat=3,summarise=1.",
            metavar="NAME|FILE,...",
        ),
    ] = None,
    worst: Annotated[
        bool,
        typer.Option("--worst", help="Limit the worst workload of the mix, not the mean."),
    ] = False,
    prompt: Annotated[
        int | None, typer.Option(help="Prompt tokens; 1024 by default.", metavar="TOKENS")
    ] = None,
    generate: Annotated[
        int | None, typer.Option(help="Tokens to generate; 128 by default.", metavar="TOKENS")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Sequences at once; 1 by default.")] = None,
    space: Annotated[
        str, typer.Option(help="A shipped space or the path of one.", metavar="NAME|FILE")
    ] = "on-device",
    weights: Annotated[
        str,
        typer.Option(
            help=f"Format of all weights; `{ALL}` for every format of the space.", metavar="FORMAT"
        ),
    ] = WEIGHTS,
    kv: options.Kv = None,
    activations: options.Activations = None,
    law: options.LawName = "codesign",
    tokens: options.Tokens = None,
    processor: options.Processor = None,
    runtime: options.Runtime = None,
    bandwidth: Annotated[str | None, _ends("DRAM bandwidth", "20GB/s:500GB/s")] = None,
    peak: Annotated[str | None, _ends("the peak", "1TFLOP/s:50TFLOP/s")] = None,
    capacity: Annotated[str | None, _ends("memory capacity", "4GB:64GB")] = None,
    power: Annotated[str | None, _ends("power", "1W:30W")] = None,
    on_chip: Annotated[
        str | None,
        typer.Option(help="Sizes of on-chip memory to try, e.g. 0MB,8MB,64MB.", metavar="SIZES"),
    ] = None,
    on_chip_bandwidth: Annotated[
        str | None,
        typer.Option(
            help="Bandwidth of on-chip memory that the template lacks; by default 3.54 times its "
            "DRAM, as the A100's L2.",
            metavar="BANDWIDTH",
        ),
    ] = None,
    points: Annotated[
        int, typer.Option(help="Points of the grid along each axis.", min=2, max=2000)
    ] = 100,
    library: Annotated[
        bool,
        typer.Option(help="Also ask which shipped devices meet it, and the least watts."),
    ] = True,
    ideal: options.Ideal = False,
    in_range_only: Annotated[
        bool,
        typer.Option("--in-range-only", help="Leave out candidates beyond the law's fitted data."),
    ] = False,
    scheduler: options.Scheduler = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder to write figures and tables to."),
    ] = None,
    repeat: Annotated[
        Path | None,
        typer.Option(help="Ask again what a codesign.yaml asks.", metavar="FILE"),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Find what a device must be for a loss and a time, or one architecture for several devices.

    **Examples**

    `roofline codesign --loss 3.3 --max-tpot 50ms --device phone --space paper-grid`: the least
    bandwidth, peak and memory that reach both.

    `roofline codesign --model qwen2.5-0.5b --max-tpot 20ms -d phone --space paper-grid --no-library
    -o phone-for-qwen`

    `roofline codesign --devices phone,jetson-agx-orin-64gb,raspberry-pi-5 --max-tpot 200ms
    --workload chat,summarise --space paper-grid`

    With one device: bandwidth, peak, on-chip memory, capacity and power are swept from the
    template; the best architecture at each, what the loss needs, what one more of each is worth,
    and which shipped devices meet it. With several: the architecture with the best worst case and
    the one with the best weighted mean, beside each device's own, and what sharing costs.
    `python -m roofline.codesign` writes reports/codesign.
    """
    from roofline.codesign.question import Inverse, load_question
    from roofline.outputs import check_folder
    from roofline.search.cluster import connected
    from spec_files import SpecError

    if out is not None:
        check_folder(out)
    if repeat is not None:
        heeded = {"repeat", "out", "as_json", "library", "scheduler"}
        options.refuse_unheeded(context, heeded, "--repeat asks a question as it was saved")
        question = load_question(repeat)
    else:
        if (device is None) == (devices is None):
            raise SpecError(
                "write either --device, the template of one question, or --devices, a fleet"
            )
        limits = {
            name: text
            for name, text in {
                "ttft": max_ttft,
                "tpot": max_tpot,
                "latency": max_latency,
                "energy": max_energy,
                "memory": max_memory,
            }.items()
            if text is not None
        }
        _check_limits(limits)
        common = {
            "space": space,
            "law": law,
            "tokens": options.parse_count(tokens, "tokens"),
            "formats": {
                "weight_format": None if weights == ALL else weights,
                "kv_format": kv,
                "activation_format": activations,
            },
            "mix": _mix(workload, batch, prompt, generate),
            "how": "worst" if worst else "mean",
            "limits": limits,
            "ideal": ideal,
            "in_range_only": in_range_only,
            "loss": loss,
        }
        ends = {"bandwidth": bandwidth, "peak": peak, "capacity": capacity, "power": power}
        single: dict[str, Any] = {
            "model": model,
            "processor": processor,
            "spans": {name: _span(name, text) for name, text in ends.items() if text is not None},
            "points": points,
            "on_chip_bandwidth": on_chip_bandwidth,
        }
        if on_chip is not None:
            single["on_chip"] = tuple(word.strip() for word in on_chip.split(","))
        if device is not None:
            if device_limit:
                raise SpecError("--device-limit belongs to a fleet: name one with --devices")
            question = _one(device, runtime, common | single)
        else:
            alone = {*single, "on_chip", *ends}
            options.refuse_given(context, alone, "a fleet has no use for what one --device has")
            question = _several(str(devices), device_limit or [], runtime, common)
    with connected(scheduler) as cluster:
        if isinstance(question, Inverse):
            _answer(question, out, library, as_json, cluster)
        else:
            _answer_fleet(question, out, as_json, cluster)


def _one(device: str, runtime: str | None, given: dict[str, Any]) -> Inverse | Fleet:
    from hardware_specs import load_device
    from roofline.codesign.question import Inverse, prepare
    from roofline.efficiency.calibrated import calibrated
    from spec_files import SpecError

    if (given["loss"] is None) == (given["model"] is None):
        raise SpecError(
            "say what is good enough by either --loss or --model, e.g. --loss 3.1 or "
            "--model qwen2.5-0.5b"
        )
    profile = load_device(device)
    processor = given["processor"]
    return prepare(
        Inverse, device=calibrated(profile, processor, runtime), runtime=runtime, **given
    )


def _several(
    devices: str, device_limit: list[str], runtime: str | None, given: dict[str, Any]
) -> Inverse | Fleet:
    from hardware_specs import load_device
    from roofline.codesign.question import Fleet, prepare
    from roofline.efficiency.calibrated import calibrated
    from spec_files import SpecError

    profiles, weights, called = [], [], {}
    for word in devices.split(","):
        name, equals, text = word.strip().partition("=")
        profile = load_device(name.strip())
        profiles.append(calibrated(profile, None, runtime))
        called[name.strip()] = called[profile.name] = profile.name
        try:
            weights.append(float(text) if equals else 1.0)
        except ValueError:
            raise SpecError(
                f"--devices: read {word.strip()!r} where a weight belongs, as in phone=2"
            ) from None
    if len(profiles) < 2:
        raise SpecError("--devices: a fleet has at least two devices; one is a --device")
    own: dict[str, dict[str, str]] = {}
    for word in device_limit:
        name, colon, rest = word.partition(":")
        limit, equals, value = rest.partition("=")
        if not (colon and equals and value):
            raise SpecError(f"--device-limit: read {word!r}; write e.g. raspberry-pi-5:tpot=200ms")
        key = called.get(name.strip(), name.strip())
        own.setdefault(key, {})[limit.strip()] = value.strip()
    return prepare(
        Fleet, devices=profiles, weights=weights, own_limits=own, runtime=runtime, **given
    )


def _mix(workload: str | None, batch: int | None, prompt: int | None, generate: int | None) -> Mix:
    from roofline.mixes import Mix, load_mix
    from spec_files import SpecError

    lengths = {"batch": batch, "prompt": prompt, "generate": generate}
    if workload is None:
        usual = {"batch": 1, "prompt": 1024, "generate": 128}
        return Mix.single(**(usual | {n: v for n, v in lengths.items() if v is not None}))
    beside = [name for name, value in lengths.items() if value is not None]
    if beside:
        raise SpecError(f"--workload has its own lengths: --{beside[0]} beside it has no effect")
    return load_mix(workload)


def _check_limits(limits: dict[str, str]) -> None:
    """Read each limit once, so that what is wrong with it is told of its option."""
    from roofline.codesign.question import DIMENSIONS
    from spec_files import SpecError, parse_quantity

    for name, text in limits.items():
        try:
            value = parse_quantity(text, DIMENSIONS[name])
        except SpecError as error:
            raise SpecError(f"--max-{name}: {error}") from None
        if value <= 0:
            raise SpecError(f"--max-{name}: read {text!r}, which allows no model")


def _span(name: str, text: str) -> tuple[str, str]:
    from spec_files import SpecError

    low, colon, high = text.partition(":")
    if not colon:
        raise SpecError(f"--{name}: read {text!r}; write both ends, as in 20GB/s:500GB/s")
    return low.strip(), high.strip()


def _answer(
    question: Inverse, out: Path | None, library: bool, as_json: bool, cluster: Cluster | None
) -> None:
    from roofline.cli.codesign_show import print_answer
    from roofline.codesign.folder import write_answer
    from roofline.codesign.inverse import answer
    from roofline.codesign.library import survey_library

    with show.progress() as tell:
        found = answer(question, partial(tell, "candidates"), cluster)
        devices = None
        if library:
            devices = survey_library(
                question, found.loss, progress=partial(tell, "devices"), cluster=cluster
            )
        files = [] if out is None else write_answer(found, devices, out)
    if as_json:
        from roofline.codesign.account import to_dict

        template = {
            "bandwidth": "bytes/s", "capacity": "bytes", "on_chip": "bytes", "peak": "FLOP/s",
            "power": "W",
        }  # fmt: skip
        show.print_json(to_dict(found, devices), show.UNITS | show.RATIOS | template)
        return
    print_answer(found, devices)
    if files:
        show.note(f"Wrote {out}/: {', '.join(files)}.")


def _answer_fleet(
    question: Fleet, out: Path | None, as_json: bool, cluster: Cluster | None
) -> None:
    from roofline.cli.codesign_show import print_fleet
    from roofline.codesign.fleet import answer_fleet
    from roofline.codesign.folder import write_fleet

    with show.progress() as tell:
        found = answer_fleet(question, partial(tell, "candidates"), cluster)
        files = [] if out is None else write_fleet(found, out)
    if as_json:
        from roofline.codesign.account import fleet_dict

        times = {"time": "multiples of the best time"}
        show.print_json(fleet_dict(found), show.UNITS | show.RATIOS | times)
        return
    print_fleet(found)
    if files:
        show.note(f"Wrote {out}/: {', '.join(files)}.")
