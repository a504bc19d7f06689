"""The reference of the files that people write: every field, from the models that read them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

FOLDER = "docs/reference/files"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Kind:
    """A kind of file: its name, the model that reads it, and a shipped one to look at."""

    name: str
    title: str
    model: str
    example: str | None = None


KINDS = (
    Kind("device", "Device", "hardware_specs.device.Device", "hardware_specs/rpi5.yaml"),
    Kind("space", "Space", "arch_space.spaces.Space", "arch_space/spaces/paper-grid.yaml"),
    Kind(
        "model", "Model", "arch_space.library.ReferenceModel", "arch_space/models/qwen2.5-0.5b.yaml"
    ),
    Kind("mix", "Mix of workloads", "roofline.mixes.mix.Mix", "roofline/mixes/chat.yaml"),
    Kind("sweep", "Sweep", "roofline.search.sweep.Sweep"),
    Kind("law", "Loss law", "roofline.laws.law.Law", "roofline/laws/published/chinchilla.yaml"),
    Kind("curve", "Curve from loss to accuracy", "roofline.laws.accuracy.Curve"),
    Kind("budget", "Budgets", "roofline.budgets.case.Case"),
    Kind("task", "Task", "roofline.strategies.task.Task"),
    Kind("verifier", "Verifier", "roofline.strategies.verifier.Verifier"),
    Kind("graph", "Collaboration graph", "roofline.graphs.files.GraphFile"),
    Kind("graph-models", "Models of graphs", "roofline.graphs.pool.Models"),
    Kind("graph-task", "Task of graphs", "roofline.graphs.pool.Task"),
    Kind("recipe", "Recipe of compression", "roofline.compression.recipe.Recipe"),
)


def pages() -> Iterator[str]:
    """Yield the pages."""
    yield from (f"{FOLDER}/{kind.name}.md" for kind in KINDS)


def files() -> Iterator[tuple[str, str]]:
    """Yield each page and its text."""
    for kind in KINDS:
        yield f"{FOLDER}/{kind.name}.md", "\n".join(_page(kind))


def _page(kind: Kind) -> Iterator[str]:
    schema = _schema(kind.model)
    elsewhere = {_title(k.model): k.name for k in KINDS if k.model != kind.model}
    yield from (f"# {kind.title}", "", schema.get("description", ""), "")
    yield from _fields(schema, elsewhere)
    for name, below in schema.get("$defs", {}).items():
        if name not in elsewhere and "properties" in below:
            yield from (f"## {name}", "", below.get("description", ""), "")
            yield from _fields(below, elsewhere)
    if kind.example:
        text = (ROOT / kind.example).read_text(encoding="utf-8").strip()
        yield from ("## A shipped one", "", f"`{kind.example}`", "", "```yaml", text, "```")


def _fields(schema: dict[str, Any], elsewhere: dict[str, str]) -> Iterator[str]:
    needed = schema.get("required", ())
    yield from ("| field | what it holds | | default |", "|---|---|---|---|")
    for name, about in schema.get("properties", {}).items():
        said = "required" if name in needed else _default(about)
        words = " ".join(about.get("description", "").split())
        cells = (f"`{name}`", words, _type(about, elsewhere), said)
        yield "| " + " | ".join(cells) + " |"
    yield ""


def _default(about: dict[str, Any]) -> str:
    value = about.get("default")
    if isinstance(value, dict) and not any(value.values()):
        return ""
    return "" if value in (None, "", []) else f"`{value}`"


def _type(about: dict[str, Any], elsewhere: dict[str, str]) -> str:
    """Say in words what a schema allows."""
    if "$ref" in about:
        name = about["$ref"].rsplit("/", 1)[-1]
        target = f"{elsewhere[name]}.md" if name in elsewhere else f"#{name.lower()}"
        return f"[{name}]({target})"
    if "enum" in about:
        return ", ".join(f"`{each}`" for each in about["enum"])
    if "const" in about:
        return f"`{about['const']}`"
    for word in ("anyOf", "oneOf", "allOf"):
        if word in about:
            arms = [_type(each, elsewhere) for each in about[word] if each.get("type") != "null"]
            return " or ".join(dict.fromkeys(arms))
    kind = about.get("type")
    if kind == "array":
        if "prefixItems" in about:
            return "[" + ", ".join(_type(each, elsewhere) for each in about["prefixItems"]) + "]"
        return f"list of {_type(about.get('items', {}), elsewhere)}"
    if kind == "object":
        inner = about.get("additionalProperties")
        return f"mapping to {_type(inner, elsewhere)}" if isinstance(inner, dict) else "mapping"
    words = {"string": "text", "number": "number", "integer": "whole number", "boolean": "yes/no"}
    return words.get(str(kind), "anything") + _bounds(about)


def _bounds(about: dict[str, Any]) -> str:
    signs = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}
    told = [f"{sign} {about[key]:g}" for key, sign in signs.items() if key in about]
    return f" {', '.join(told)}" if told else ""


@cache
def _schema(path: str) -> dict[str, Any]:
    module, name = path.rsplit(".", 1)
    model = getattr(import_module(module), name)
    schema: dict[str, Any] = model.model_json_schema(by_alias=True)
    schema.setdefault("description", inspect.getdoc(model) or "")
    return schema


def _title(path: str) -> str:
    return path.rsplit(".", 1)[-1]
