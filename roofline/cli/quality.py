"""What a loss law says of candidates, as the commands print it: loss, perplexity, accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roofline.cli import options, show

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from roofline.laws import Law
    from roofline.laws.accuracy import Curve

LEVEL = 0.9
_NOTHING: dict[str, Any] = {
    "law": "", "unit": "", "loss": None, "loss_low": None, "loss_high": None, "in_range": False,
    "flag": "", "basis": "", "perplexity": None, "perplexity_low": None, "perplexity_high": None,
    "accuracy": {},
}  # fmt: skip


def load_laws(text: str, tokens: str | None) -> list[Law]:
    """Read `--law a,b,c` and `--tokens`; SpecError for a name that is empty, twice or unknown."""
    from roofline.laws import load_law
    from spec_files import SpecError

    names = [name.strip() for name in text.split(",")]
    for name in names:
        if not name or names.count(name) > 1:
            raise SpecError(f"--law: read {text!r}; write each law once, as in codesign,chinchilla")
    trained = options.parse_count(tokens, "tokens")
    return [load_law(name, trained) for name in names]


def load_tasks(names: list[str] | None, laws: list[Law]) -> list[Curve]:
    """Read `--task`; `all` is every shipped curve. SpecError where no law gives a whole loss."""
    from roofline.laws.accuracy import curve_names, load_curve
    from spec_files import SpecError

    if names and not any(law.has_perplexity for law in laws):
        raise SpecError(f"--task: law {laws[0].name!r} gives {laws[0].unit}, not a loss")
    return [load_curve(name) for name in (curve_names() if names == ["all"] else names or [])]


def told(law: Law, arch: Architectures, tasks: list[Curve]) -> list[dict[str, Any]]:
    """Return what a law says of each candidate, under the names of the JSON output.

    The loss is None, and `flag` says why, where the law has no word for a candidate's formats.
    """
    from roofline.laws import interval, out_of_range_reasons, predict
    from roofline.laws.accuracy import accuracy, perplexity
    from roofline.laws.prediction import uncertainty_basis
    from spec_files import SpecError

    try:
        loss = predict(law, arch)
    except SpecError as unknown:
        if len(arch) > 1:  # of some formats the law may have a word
            return [said for i in range(len(arch)) for said in told(law, arch[i], tasks)]
        return [_NOTHING | {"law": law.name, "unit": law.unit, "flag": str(unknown)}]
    ends = interval(law, arch, LEVEL)
    flags = out_of_range_reasons(law, arch)
    numbers = {"loss": loss.loss, "loss_low": ends[0], "loss_high": ends[1]}
    if law.has_perplexity:
        ways = {key.replace("loss", "perplexity"): perplexity(law, numbers[key]) for key in numbers}
        numbers |= ways
    found = [
        _NOTHING
        | {key: options.known(float(values[i])) for key, values in numbers.items()}
        | {"law": law.name, "unit": law.unit, "basis": uncertainty_basis(law), "accuracy": {}}
        | {"in_range": bool(loss.in_range[i]), "flag": flags[i]}
        for i in range(len(arch))
    ]
    if not law.has_perplexity:
        return found
    for curve in tasks:
        share = accuracy(curve, law, loss.loss, ends, LEVEL)
        for i, (said, flag) in enumerate(zip(found, share.flags(), strict=True)):
            said["accuracy"][curve.name] = {
                "accuracy": float(share.accuracy[i]),
                "low": float(share.low[i]),
                "high": float(share.high[i]),
                "in_range": bool(share.in_range[i]),
                "flag": flag,
            }
    return found


def span(low: float | None, high: float | None, scale: float = 1.0, digits: int = 3) -> str:
    """An interval as text; nothing where it is unknown."""
    if low is None or high is None:
        return ""
    return f"{scale * low:.{digits}f} to {scale * high:.{digits}f}"


def rows(said: dict[str, Any]) -> list[list[str]]:
    """Return lines of a table of one candidate: what, predicted, interval."""
    from roofline.laws.law import format_loss

    if said["loss"] is None:
        return [[f"loss by law {said['law']}", f"–  [{said['flag']}]", ""]]
    flag = "" if said["in_range"] else f"  [out of the fitted range: {said['flag']}]"
    lines = [
        [
            f"loss by law {said['law']}",
            f"{format_loss(said['loss'])} {said['unit']}{flag}",
            span(said["loss_low"], said["loss_high"]),
        ]
    ]
    if said["perplexity"] is not None:
        ends = span(said["perplexity_low"], said["perplexity_high"], digits=1)
        lines.append(["perplexity of the law's data", f"{said['perplexity']:.2f}", ends])
    for name, share in said["accuracy"].items():
        flag = "" if share["in_range"] else f"  [{share['flag']}]"
        ends = f"{span(share['low'], share['high'], 100, 1)} %"
        lines.append([f"accuracy on {name}", f"{100 * share['accuracy']:.1f} %{flag}", ends])
    return lines


def beside(law: Law, arch: Architectures, baseline: Architectures) -> list[dict[str, Any]]:
    """Return each candidate beside a baseline inside one law, as the JSON output has it."""
    from roofline.laws import out_of_range_reasons, relative
    from spec_files import SpecError

    unit = "nats" if law.in_nats else "times the baseline"
    head = {"baseline": baseline.names[0], "unit": unit}
    try:
        found = relative(law, arch, baseline)
    except SpecError as unknown:
        if len(arch) > 1:
            return [each for i in range(len(arch)) for each in beside(law, arch[i], baseline)]
        nothing = {"difference": None, "sd": None, "in_range": False, "flag": str(unknown)}
        return [head | nothing]
    (theirs,) = out_of_range_reasons(law, baseline)
    return [
        head
        | {
            "difference": float(found.difference[i]),
            "sd": options.known(float(found.sd[i])),
            "in_range": bool(found.in_range[i]),
            "flag": "; ".join(filter(None, (flag, theirs and f"baseline: {theirs}"))),
        }
        for i, flag in enumerate(out_of_range_reasons(law, arch))
    ]


def loss_cell(said: dict[str, Any]) -> str:
    """A loss in a table: half its interval behind it, and a mark outside the law's data."""
    from roofline.laws.law import format_loss

    if said["loss"] is None:
        return "– *"
    known = said["loss_low"] is not None
    half = f" ± {(said['loss_high'] - said['loss_low']) / 2:.2f}" if known else ""
    return f"{format_loss(said['loss'], 3)}{half}{'' if said['in_range'] else ' *'}"


def beside_cell(each: dict[str, Any]) -> str:
    """A difference in a table: its standard deviation behind it, and a mark as for a loss."""
    if each["difference"] is None:
        return "– *"
    sign = "+" if each["unit"] == "nats" else ""
    sd = "" if each["sd"] is None else f" ± {each['sd']:.3f}"
    return f"{each['difference']:{sign}.3f}{sd}{'' if each['in_range'] else ' *'}"


def accuracy_cell(said: dict[str, Any], task: str) -> str:
    """An accuracy in a table, in percent; marked where the curve does not vouch for it."""
    share = said["accuracy"].get(task)
    if share is None:
        return "–"
    half = 50 * (share["high"] - share["low"])
    return f"{100 * share['accuracy']:.1f} ± {half:.1f} %{'' if share['in_range'] else ' *'}"


def print_more(rows: list[dict[str, Any]], laws: list[Law], tasks: list[Curve]) -> None:
    """Print the losses of several laws, the losses beside a baseline's, and accuracies.

    Neither depends on the device: a line a model and a weight format.
    """

    unique = list({(row["model"], row["weights"]): row for row in rows}.values())
    if len(laws) > 1:
        show.table(
            "Loss by law (± half the 90 % interval)",
            ["model", "weights", *(law.name for law in laws)],
            [
                [row["model"], row["weights"]]
                + [loss_cell(row["losses"][law.name]) for law in laws]
                for row in unique
            ],
        )
    if unique and "relative" in unique[0]:
        name = next(iter(unique[0]["relative"].values()))["baseline"]
        show.table(
            f"Beside {name}, inside each law (± one standard deviation)",
            ["model", "weights", *(_relative_title(law) for law in laws)],
            [
                [row["model"], row["weights"]]
                + [beside_cell(row["relative"][law.name]) for law in laws]
                for row in unique
            ],
        )
    whole = [law for law in laws if law.has_perplexity]
    if tasks and whole:
        show.table(
            "What the losses stand for (± half the 90 % interval)",
            ["model", "weights", "law", "perplexity", *(curve.name for curve in tasks)],
            [
                [row["model"], row["weights"], law.name, _perplexity(row["losses"][law.name])]
                + [accuracy_cell(row["losses"][law.name], curve.name) for curve in tasks]
                for row in unique
                for law in whole
            ],
        )
        foreign = [c.name for c in tasks if not all(law.name in c.laws for law in whole)]
        if foreign:
            show.note(
                f"* of an accuracy: the law's losses are of other data than the curve's "
                f"({', '.join(foreign)}), or outside its range."
            )


def _relative_title(law: Law) -> str:
    return f"{law.name} ({'nats' if law.in_nats else 'times'})"


def _perplexity(said: dict[str, Any]) -> str:
    return "–" if said["perplexity"] is None else f"{said['perplexity']:.2f}"
