"""A space to fill in: a shipped one copied, or what published small models chose, all explained.

What models chose is counted over the shipped reference models; no number of theirs stands here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal, get_args

from arch_space.architectures import Architectures, defaults, meanings
from arch_space.library import reference_model, shipped_models
from arch_space.rules import HELPERS
from arch_space.spaces import ALL_HEADS, KNOBS, Space, load_space, shipped_spaces
from spec_files import SpecError, did_you_mean, short, validate_spec
from spec_files.commented import Commented

Kind = Literal["dense", "moe"]
KINDS: tuple[str, ...] = get_args(Kind)

_FILL_IN = "FILL IN"
_CHECK = "CHECK"
_LARGEST = {"dense": 4e9, "moe": 32e9}  # parameters of models that a device of people's own holds
_LEAST = 0.07  # share of the models that must have chosen a value
_MULTIPLE = 64
_FORMATS = ["fp16", "q8_0", "q4_k_m"]
_NAME = r"[a-z0-9][a-z0-9.-]*"


def check_name(name: str) -> str:
    """Return a name that a new space may have; SpecError for one that a shipped one has."""
    if not re.fullmatch(_NAME, name):
        raise SpecError(
            f"{short(name)} is no name of a space: write lower-case letters, digits, '.' and '-', "
            "as in my-space"
        )
    if name in shipped_spaces():
        raise SpecError(f"{name!r} is a shipped space: choose another name")
    return name


def copied(like: str, name: str) -> Space:
    """Return a shipped space, or that of a file, under a name of its own."""
    data = load_space(like).model_dump(by_alias=True, exclude_none=True)
    return validate_spec(data | {"name": check_name(name)}, Space, like)


def typical(kind: str, name: str) -> Space:
    """Return the grid of what shipped models of a kind chose; SpecError for an unknown kind."""
    if kind not in KINDS:
        raise SpecError(f"--kind: no space of kind {short(kind)}{did_you_mean(kind, KINDS)}")
    most = _LARGEST[kind]
    moe = kind == "moe"
    chosen = [arch for arch, size in _models() if (arch.experts > 1) == moe and size <= most]
    widths, depths = _common(chosen, "width"), [arch.layers for arch in chosen]
    ratios = Counter(_plain(round(4 * _ratio(arch)) / 4) for arch in chosen)
    dimensions: dict[str, Any] = {
        "layers": {"from": min(depths), "to": max(depths), "step": 4},
        "width": [w for w in widths if w % _MULTIPLE == 0],
        "head_size": _common(chosen, "head_size"),
        "kv_heads": [*_common(chosen, "kv_heads"), ALL_HEADS],
        "ffn_ratio": sorted(r for r, many in ratios.items() if many >= _LEAST * len(chosen)),
    }
    if moe:
        pairs = sorted({(arch.experts, arch.experts_per_token) for arch in chosen})
        dimensions["experts, experts_per_token"] = [list(pair) for pair in pairs]
    dimensions["weight_format"] = _FORMATS
    return validate_spec(
        {
            "name": check_name(name),
            "title": f"{_FILL_IN}: {kind} decoders",
            "source": f"Typical, no recommendation: values that at least {_LEAST:.0%} of the "
            f"{len(chosen)} shipped {kind} models of at most {most / 1e9:g} B parameters have "
            "(`roofline models`), FFN ratios to a quarter; number formats are examples. "
            f"{_FILL_IN}: where yours come from, and when.",
            "fixed": {
                "vocabulary": Counter(arch.vocabulary for arch in chosen).most_common(1)[0][0],
                "tied_embedding": True,
                "kv_format": "fp16",
                "ffn_multiple": _MULTIPLE,
            },
            "dimensions": dimensions,
        },
        Space,
        f"the template of kind {kind}",
    )


def _models() -> Iterator[tuple[Any, float]]:
    """Rows and sizes of shipped models of attention and one kind of network alone."""
    for name in shipped_models():
        model = reference_model(name)
        arch: Any = model.architecture
        other = arch.mamba_layers + arch.delta_layers + arch.convolution_layers + arch.kv_rank
        if model.decodes == "autoregressive" and not other + arch.layer_embedding + arch.window:
            yield arch, float(model.parameters or 0)


def _common(models: list[Any], field: str) -> list[Any]:
    """Values that enough models have, sorted."""
    found = Counter(getattr(arch, field) for arch in models)
    return sorted(value for value, many in found.items() if many >= _LEAST * len(models))


def _plain(number: float) -> int | float:
    return int(number) if number == int(number) else number


def _ratio(arch: Any) -> float:
    if arch.experts == 1:
        return float(arch.ffn_width / arch.width)
    return float((arch.experts_per_token + arch.shared_experts) * arch.expert_width / arch.width)


def space_text(space: Space, like: str | None) -> str:
    """Return a space's YAML with every field explained; like: what it was copied from."""
    word = _FILL_IN if like is None else _CHECK
    origin = (
        f"All values are typical and no recommendation; each is marked {_FILL_IN}."
        if like is None
        else f"All values are copied from {like}; each is marked {_CHECK}."
    )
    heading = (
        f"Space {space.name}: {space.size:,} points, of which {space.valid_count:,} are "
        f"candidates. {origin}\n"
        "Move a field between fixed and dimensions as you like. A line behind `#` alone is an "
        "optional field: take the `#` away to set it. What no model can be (heads that KV heads do "
        "not divide) and what repeats another point is left out by itself.\n"
        "Sizes are counts of elements, shares fractions of one. `roofline laws` says within which "
        "bounds a law's data lie; candidates beyond them are marked in the front."
    )
    given = {name for key in (*space.fixed, *space.dimensions) for name in _names(key)}
    words = _defaults()

    def others(path: tuple[str | int, ...]) -> Iterator[tuple[str, Any]]:
        for name in KNOBS if path == ("fixed",) else ():
            if name not in given:
                yield name, words[name]

    writer = Commented(
        about=lambda path: _about(path, words),
        others=others,
        examples={"rules": ["head_size divides width"]},
        mark=lambda path: word if len(path) == 2 and path[0] in ("fixed", "dimensions") else None,
    )
    return writer.text(space, heading)


def _names(key: str) -> list[str]:
    return [name.strip() for name in key.split(",")]


def meaning(key: str) -> str:
    """What the fields of one key of a space are, in words."""
    return "; ".join((meanings() | HELPERS)[name] for name in _names(key))


def _about(path: tuple[str | int, ...], words: dict[str, Any]) -> str | None:
    """What the fields of one key mean, and what they are where they are not given."""
    if len(path) != 2 or path[0] not in ("fixed", "dimensions"):
        return None
    return "; ".join(
        f"{meaning(name)} ({words[name]} by default)" if name in defaults() else meaning(name)
        for name in _names(str(path[1]))
    )


def _defaults() -> dict[str, Any]:
    """What each field is where it is not given, in words; an example where it must be given."""
    row = Architectures.from_rows(
        [{"layers": 24, "width": 2048, "query_heads": 16, "kv_heads": 8, "head_size": 128,
          "ffn_width": 8192, "vocabulary": 32000}]
    ).row()  # fmt: skip
    return row | {"ffn_ratio": 4, "ffn_multiple": 64}
