"""A model written as YAML that explains itself: every field with its description and its unit.

The words are the schema's own. A comment stands behind `# `; an optional field that is not set
stands behind `#` alone, and taking that character away sets it.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from spec_files.quantities import quantity_example
from spec_files.reading import KeyPath, arms, loader_class

if TYPE_CHECKING:
    import yaml
    from pydantic.fields import FieldInfo

    from spec_files.model import Spec

_WIDTH = 100
_DEEP = 12  # columns kept for indents and marks
_STEP = "  "


@dataclass
class Commented:
    """How a model is written; a field is described where it first stands.

    about: what a key of a plain mapping means, by its path; None for nothing to say.
    others: further keys that the mapping at a path takes, each with an example.
    examples: by a field's name, an example in place of one made up.
    mark: what is to be said behind the value at a path; None for nothing.
    """

    about: Callable[[KeyPath], str | None] = lambda path: None
    others: Callable[[KeyPath], Iterable[tuple[str, Any]]] = lambda path: ()
    examples: Mapping[str, Any] = field(default_factory=dict)
    mark: Callable[[KeyPath], str | None] = lambda path: None
    _said: set[tuple[type, str]] = field(default_factory=set, init=False)

    def text(self, spec: Spec, heading: str) -> str:
        """Return YAML, under a heading, that reads back as a model equal to this one."""
        data = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
        lines = [line for part in heading.splitlines() for line in _comment(part) or ["#"]]
        return "\n".join([*lines, *self._model(type(spec), data, ())]) + "\n"

    def _model(self, model: type[Spec], data: Mapping[str, Any], at: KeyPath) -> list[str]:
        """The fields of a model, one below the other."""
        lines = []
        for name, about in model.model_fields.items():
            key = about.alias or name
            first = self._home(model, name) not in self._said
            self._said.add(self._home(model, name))
            value = data.get(key)
            if first:
                lines += [""] if not at else []
                lines += _comment(_described(about))
            if value is not None and (about.is_required() or value not in ({}, [])):
                lines += self._entry(key, value, about.annotation, (*at, key))
            elif first:
                example = self._example(about.annotation, key)
                lines += map(_off, self._entry(key, example, about.annotation, (*at, key)))
        return lines

    def _entry(self, key: str, value: Any, annotation: Any, path: KeyPath) -> list[str]:
        """A key with its value; what is below it stands a step to the right."""
        model, inner = _model_in(annotation), _values_in(annotation)
        if isinstance(value, Mapping) and model is not None:
            flat = _dump({key: value})
            if len(flat) == 1 and self._needs_no_word(model):
                return self._marked(flat, path)
            below = self._model(model, value, path)
        elif isinstance(value, Mapping) and inner is not None:
            below = self._mapping(value, inner, path)
        elif isinstance(value, list) and inner is not None and (model := _model_in(inner)):
            below = [
                line
                for i, each in enumerate(value)
                for line in _item(self._model(model, each, (*path, i)))
            ]
        else:
            return self._marked(_dump({key: value}), path)
        return [*self._marked(_dump({key: None}), path), *(_STEP + line for line in below)]

    def _mapping(self, data: Mapping[str, Any], inner: Any, at: KeyPath) -> list[str]:
        """The entries of a mapping whose keys are the writer's own, and others it could have."""
        lines = []
        for key, value in data.items():
            lines += _comment(self.about((*at, key)) or "")
            lines += self._entry(key, value, inner, (*at, key))
        for key, value in self.others(at):
            said, off = self.about((*at, key)) or "", [_off(line) for line in _dump({key: value})]
            short = len(off) == 1 and len(off[0]) + len(said) + 4 + _DEEP <= _WIDTH
            lines += [f"{off[0]}  # {said}"] if short else [*_comment(said), *off]
        return lines

    def _marked(self, lines: list[str], path: KeyPath) -> list[str]:
        """Lines of one entry with what is to be said of it, where it hurts no value."""
        said = self.mark(path)
        if said is None:
            return lines
        if len(lines) == 1 or lines[0].endswith(":"):
            return [f"{lines[0]}  # {said}", *lines[1:]]
        return [*_comment(said), *lines]

    def _needs_no_word(self, model: type[Spec]) -> bool:
        """Whether all fields of a model, which holds no other, have been described."""
        homes = [self._home(model, name) for name in model.model_fields]
        return self._said.issuperset(homes)

    @staticmethod
    def _home(model: type[Spec], name: str) -> tuple[type, str]:
        """A field, as that of the class that declares it."""
        homes = (c for c in model.__mro__ if name in inspect.get_annotations(c))
        return next(homes), name

    def _example(self, annotation: Any, name: str) -> Any:
        """A value that a field could have."""
        if name in self.examples:
            return self.examples[name]
        model, inner = _model_in(annotation), _values_in(annotation)
        if model is not None:
            fields = model.model_fields.items()
            found = {
                each.alias or key: self._example(each.annotation, key)
                for key, each in fields
                if each.is_required()
            }
            dimension = getattr(model, "dimension", None)
            return found if dimension is None else found | {"value": _quantity(dimension)}
        kind = next(arm for arm in arms(annotation) if arm is not type(None))
        if get_origin(kind) is Literal:
            return get_args(kind)[0]
        if get_origin(kind) is dict:
            return {self._example(get_args(kind)[0], "key"): self._example(inner, "")}
        if inner is not None:
            return [self._example(inner, "")]
        return {str: "...", float: 1.0, int: 1, bool: True}[kind]


def _described(about: FieldInfo) -> str:
    """What a field means, how it is written, and whether it must be there."""
    said = [" ".join((about.description or "").split())]
    annotation = about.annotation
    model = _model_in(annotation) or _model_in(_values_in(annotation))
    dimension = getattr(model, "dimension", None)
    if dimension not in (None, "ratio"):
        said.append(f"Written as {quantity_example(str(dimension))}.")
    kind = next(arm for arm in arms(annotation) if arm is not type(None))
    words = get_args(kind) if get_origin(kind) is Literal else ()
    keys = get_args(get_args(kind)[0]) if get_origin(kind) is dict else ()
    if len(words) > 1:
        said.append(f"One of {', '.join(map(str, words))}.")
    if keys:
        said.append(f"Keys: {', '.join(keys)}.")
    if about.is_required():
        said.append("Required.")
    else:
        default = about.get_default(call_default_factory=True)
        plain = isinstance(default, str | int | float) and default != ""
        said.append(f"Optional; {default!r} by default." if plain else "Optional.")
    return " ".join(filter(None, said))


def _model_in(annotation: Any) -> type[Spec] | None:
    """The model that an annotation stands for, whether or not it may be None."""
    found = [arm for arm in arms(annotation) if hasattr(arm, "model_fields")]
    return found[0] if len(found) == 1 else None


def _values_in(annotation: Any) -> Any:
    """What the values of a mapping, or the items of a sequence, are; None for other things."""
    for arm in arms(annotation):
        if get_origin(arm) is dict:
            return get_args(arm)[1]
        if get_origin(arm) in (tuple, list):
            return get_args(arm)[0]
    return None


def _quantity(dimension: str) -> float | str:
    text = quantity_example(dimension)
    return float(text) if dimension == "ratio" else text


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH - _DEEP, initial_indent="# ", subsequent_indent="# ", break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def _off(line: str) -> str:
    """A line of YAML that is not read; comments stay as they are."""
    rest = line.lstrip()
    return line if not rest or rest[0] == "#" else f"{line[: len(line) - len(rest)]}#{rest}"


def _item(lines: list[str]) -> list[str]:
    """Lines of a mapping as an item of a sequence."""
    first = next(i for i, line in enumerate(lines) if line[:1] not in ("", "#"))
    return [*lines[:first], f"- {lines[first]}", *(_STEP + line for line in lines[first + 1 :])]


def _dump(data: dict[str, Any]) -> list[str]:
    """Lines of YAML of one key; a container is on its line where it fits."""
    import yaml

    def lines(what: Any, width: int, style: bool | None) -> list[str]:
        text = yaml.dump(
            what, Dumper=_dumper(), width=width, default_flow_style=style, allow_unicode=True,
            sort_keys=False,
        )  # fmt: skip
        return [line for line in str(text).splitlines() if line != "..."]

    (key, value) = next(iter(data.items()))
    head = f"{lines(key, 10**6, True)[0]}:"
    if value is None:
        return [head]
    if not isinstance(value, list | dict):
        return lines(data, _WIDTH - _DEEP, False)
    first, *more = lines(value, 10**6, True)
    if not more and len(head) + 1 + len(first) <= _WIDTH - _DEEP:
        return [f"{head} {first}"]
    return [head, *(_STEP + line for line in lines(value, _WIDTH - _DEEP, None))]


@cache
def _dumper() -> type[yaml.SafeDumper]:
    """PyYAML's safe dumper, which quotes exactly what our reader would not take for text."""
    import yaml

    class Dumper(yaml.SafeDumper):
        yaml_implicit_resolvers = loader_class().yaml_implicit_resolvers

    return Dumper
