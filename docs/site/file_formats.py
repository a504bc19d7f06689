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
    links = {_title(k.model): f"{k.name}.md" for k in KINDS if k.model != kind.model}
    yield from (f"# {kind.title}", "", schema.get("description", ""), "")
    yield from _whole(schema, links, 2)
    if kind.name in ARMS:
        yield from ARMS[kind.name](schema)
    if kind.example:
        text = (ROOT / kind.example).read_text(encoding="utf-8").strip()
        yield from ("## A shipped one", "", f"`{kind.example}`", "", "```yaml", text, "```")


def _forms(schema: dict[str, Any]) -> Iterator[str]:
    """Say what each form of a law computes, and which fields it adds."""
    from roofline.laws.law import law_forms

    yield from ("## Forms", "", "A law has the fields above and those of its `form`.", "")
    for name, law in law_forms().items():
        own = [field for field in law.model_fields if field not in schema["properties"]]
        said = inspect.getdoc(import_module(law.__module__)) or ""
        fields = ", ".join(f"`{field}`" for field in own)
        yield from (f"### {name}", "", said, "", f"Fields: {fields}." if own else "", "")


def _steps(schema: dict[str, Any]) -> Iterator[str]:
    """Say what each step of a recipe is, in a word and field by field."""
    from roofline.compression.steps import STEPS

    yield from ("## Steps", "", "A step is a word, or a mapping of its name to its fields.", "")
    for name, step in STEPS.items():
        said = f"{inspect.getdoc(step)} As a word: `{step.example}`."
        yield from (f"### {name}", "", said, "")
        yield from _whole(step.model_json_schema(), {}, 4)


ARMS = {"law": _forms, "recipe": _steps}
"""Kinds of which one of several shapes holds, and what tells of them."""


def _whole(schema: dict[str, Any], links: dict[str, str], level: int) -> Iterator[str]:
    """Describe a model's fields, and below it the models that they hold and no page describes."""
    parts = {
        name: below
        for name, below in schema.get("$defs", {}).items()
        if name not in links and below.get("properties")
    }
    links = links | {name: f"#{name.lower()}" for name in parts}
    yield from _fields(schema, links)
    for name, below in parts.items():
        yield from (f"{'#' * level} {name}", "", below.get("description", ""), "")
        yield from _fields(below, links)


def _fields(schema: dict[str, Any], links: dict[str, str]) -> Iterator[str]:
    needed = schema.get("required", ())
    yield from ("| field | what it holds | kind | default |", "|---|---|---|---|")
    for name, about in schema.get("properties", {}).items():
        said = "required" if name in needed else _default(about)
        words = " ".join(about.get("description", "").split())
        cells = (f"`{name}`", words, _type(about, links), said)
        yield "| " + " | ".join(cells) + " |"
    yield ""


def _default(about: dict[str, Any]) -> str:
    value = about.get("default")
    if isinstance(value, dict) and not any(value.values()):
        return ""
    return "" if value in (None, "", []) else f"`{value}`"


def _type(about: dict[str, Any], links: dict[str, str]) -> str:
    """Say in words what a schema allows."""
    if "$ref" in about:
        name = about["$ref"].rsplit("/", 1)[-1]
        return f"[{name}]({links[name]})" if name in links else name
    if "enum" in about:
        return ", ".join(f"`{each}`" for each in about["enum"])
    if "const" in about:
        return f"`{about['const']}`"
    for word in ("anyOf", "oneOf", "allOf"):
        if word in about:
            arms = [_type(each, links) for each in about[word] if each.get("type") != "null"]
            return " or ".join(dict.fromkeys(arms))
    kind = about.get("type")
    if kind == "array":
        if "prefixItems" in about:
            return "[" + ", ".join(_type(each, links) for each in about["prefixItems"]) + "]"
        return f"list of {_type(about.get('items', {}), links)}"
    if kind == "object":
        inner = about.get("additionalProperties")
        return f"mapping to {_type(inner, links)}" if isinstance(inner, dict) else "mapping"
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
