"""Options that several commands share, and how their text becomes values."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from arch_space.architectures import Architectures

Device = Annotated[
    str,
    typer.Option(
        "--device", "-d", help="A shipped device or the path of a profile.", metavar="NAME|FILE"
    ),
]
Processor = Annotated[
    str | None, typer.Option(help="One of the device's processors; by default its main one.")
]
Runtime = Annotated[
    str | None,
    typer.Option(
        help="Software whose kernels are predicted (`roofline runtimes`); by default the one with "
        "the most measurements of the device or its like.",
        metavar="NAME",
    ),
]
Placement = Annotated[
    str | None,
    typer.Option(
        help="Processors of prefill, decode, head and experts, as in prefill=npu,decode=cpu; a "
        "runtime may follow one, as in head=cpu:llama.cpp-cpu; or best of all.",
        metavar="PART=PROCESSOR,...|best",
    ),
]
Cached = Annotated[
    int, typer.Option(help="Prompt tokens whose cache is kept from before.", metavar="TOKENS")
]
PrefillChunk = Annotated[
    int,
    typer.Option(help="Prompt tokens that a pass reads at most; 0 for all.", metavar="TOKENS"),
]
Draft = Annotated[
    str | None,
    typer.Option(
        help="Speculative decoding: the model that drafts, or its cost as a share of the model's.",
        metavar="NAME|FILE|SHARE",
    ),
]
Acceptance = Annotated[
    float | None,
    typer.Option(help="Share of drafted tokens that are accepted.", metavar="SHARE"),
]
DraftLength = Annotated[
    str | None,
    typer.Option(help="Tokens drafted a round, 4 if not given; or best.", metavar="TOKENS|best"),
]
Prompt = Annotated[int, typer.Option(help="Prompt tokens.", metavar="TOKENS")]
Generate = Annotated[int, typer.Option(help="Tokens to generate.", metavar="TOKENS")]
Batch = Annotated[int, typer.Option(help="Sequences at once.")]
Weights = Annotated[
    str | None,
    typer.Option(help="Format of the weights: fp16, int8, int4, q4_k_m, ...", metavar="FORMAT"),
]
Embedding = Annotated[
    str | None,
    typer.Option(
        help="Format of embedding and head; by default what the weights' recipe leaves them in.",
        metavar="FORMAT",
    ),
]
Kv = Annotated[str | None, typer.Option("--kv", help="Format of the KV cache.", metavar="FORMAT")]
Activations = Annotated[
    str | None,
    typer.Option(
        help="Format of the activations, which decides the peak that is used.", metavar="FORMAT"
    ),
]
Sparsity = Annotated[
    str | None,
    typer.Option(help="Zero weights: 2:4, or a share such as 0.5.", metavar="2:4|SHARE"),
]
FfnSparsity = Annotated[
    float | None,
    typer.Option(help="Share of FFN neurons that a token leaves inactive.", metavar="SHARE"),
]
Mask = Annotated[str, typer.Option(help="Prefill attention: causal (half the square) or full.")]
Logits = Annotated[str, typer.Option(help="Logits of the last prompt token, or of all.")]
Attention = Annotated[str, typer.Option(help="Attention kernels: fused or unfused.")]
Ideal = Annotated[
    bool, typer.Option("--ideal", help="The floor: data-sheet peaks, no overheads, all overlapped.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON (SI units) instead of a table.")]
Scheduler = Annotated[
    str | None,
    typer.Option(
        help="Search on the machines of a Dask scheduler, every candidate, or `local`: on a worker "
        "process a core. Needs roofline[cluster].",
        metavar="ADDRESS|local",
    ),
]
Given = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="What a benchmark's file does not say: model=..., weight_format=Q4_K_M, "
        "device_key=rtx4090; repeat for several.",
        metavar="COLUMN=VALUE",
    ),
]
LawName = Annotated[
    str,
    typer.Option(
        "--law", help="Loss law: codesign, chinchilla, ... (`roofline laws`).", metavar="NAME|FILE"
    ),
]
Task = Annotated[
    list[str] | None,
    typer.Option(
        "--task",
        help="Also the accuracy on a task that the loss stands for (`roofline laws curves`); "
        "repeat for several, `all` for every one.",
        metavar="NAME|FILE",
    ),
]
Tokens = Annotated[
    str | None,
    typer.Option(help="Training tokens, for laws that ask: 10e9, 300B.", metavar="COUNT"),
]


def known(number: float) -> float | None:
    """A number for JSON; None where it is not known."""
    return None if number != number else float(number)


def parse_draft(text: str | None) -> str | float | None:
    """Read a draft: a share of the model where it is a number, else a model's name or file."""
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        return text


def parse_count(text: str | None, option: str) -> float | None:
    """Read a positive count such as 10e9, 300B or 1.5T."""
    from spec_files import SpecError

    if text is None:
        return None
    scale = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}.get(text[-1:].lower(), 1.0)
    digits = text[:-1] if scale != 1.0 else text
    try:
        value = float(digits) * scale
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise SpecError(f"--{option}: read {text!r}; write a positive count such as 10e9 or 10B")
    return value


def with_sparsity(
    arch: Architectures, sparsity: str | None, ffn_sparsity: float | None
) -> Architectures:
    """Return the candidates with zero weights or inactive neurons."""
    import numpy as np

    from spec_files import SpecError

    if sparsity == "2:4":
        arch = replace(arch, weight_sparsity=np.array(0.5), two_four=np.array(True))
    elif sparsity is not None:
        try:
            share = float(sparsity)
        except ValueError:
            raise SpecError(
                f"--sparsity: read {sparsity!r}; write 2:4 or a share such as 0.5"
            ) from None
        arch = replace(arch, weight_sparsity=np.array(share), two_four=np.array(False))
    if ffn_sparsity is not None:
        arch = replace(arch, ffn_sparsity=np.array(ffn_sparsity))
    arch.check()
    return arch


def given(words: list[str] | None) -> dict[str, str]:
    """Read what `--set` says: values by column."""
    from spec_files import SpecError

    found = {}
    for word in words or []:
        column, equals, value = word.partition("=")
        if not equals or not value:
            raise SpecError(f"--set: read {word!r}; write COLUMN=VALUE, as in model=Llama-3.1-8B")
        found[column.strip()] = value.strip()
    return found


def was_given(context: typer.Context, name: str) -> bool:
    """Whether an option was written on the command line, rather than left at its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def refuse_unheeded(context: typer.Context, heeded: Collection[str], why: str) -> None:
    """Raise SpecError for an option of the command line that is not heeded here.

    heeded: names of parameters that are. why: what the sentence begins with.
    """
    refuse_given(context, {option.name or "" for option in context.command.params} - {*heeded}, why)


def refuse_given(context: typer.Context, unheeded: Collection[str], why: str) -> None:
    """Raise SpecError for any of these options that the command line has."""
    from spec_files import SpecError

    for option in context.command.params:
        name = option.name or ""
        if name in unheeded and was_given(context, name):
            raise SpecError(f"{why}: {max(option.opts, key=len)} beside it would have no effect")


def refuse_early(context: typer.Context) -> None:
    """Raise SpecError for options that stand before a subcommand, which has its own."""
    refuse_unheeded(context, (), f"options belong behind {context.invoked_subcommand}")
