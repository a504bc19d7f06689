"""From a YAML file to a validated model, or to one sentence: file, line, field and fault."""

import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union, get_args, get_origin

from spec_files.errors import SpecError, short
from spec_files.nearest import did_you_mean, nearest

if TYPE_CHECKING:
    import yaml
    from pydantic import BaseModel, ValidationError

    Model = TypeVar("Model", bound=BaseModel)

KeyPath = tuple[str | int, ...]
Lines = dict[KeyPath, int]

_LARGEST_FILE = 10**7  # bytes
_MOST_NODES = 200_000  # keys and values of a file: PyYAML takes two kilobytes for each
_DEEPEST = 100  # levels: the C parser recurses, and ends the process where its stack does
_LARGEST_INTEGER = 2**63 - 1  # what a column of integers holds

# YAML 1.1, which PyYAML reads, takes 1e-3 for text because it has no point.
_FLOAT_WITHOUT_POINT = re.compile(r"[-+]?\d[\d_]*(?:\.[\d_]*)?[eE][-+]?\d+$")


def find_spec(name_or_path: str | Path, folder: Path, what: str) -> Path:
    """Return the file meant by a path or by a shipped name, with or without `.yaml`.

    An existing file wins; otherwise the shipped file of that name in `folder`, from any working
    directory. what: 'device', 'space', ... for the SpecError, which names the nearest shipped one.
    """
    shipped = sorted(file.stem for file in folder.glob("*.yaml"))
    if not str(name_or_path).strip():
        raise SpecError(f"no {what} was named{did_you_mean('', shipped)}.")
    path = Path(name_or_path)
    if os.path.isfile(path):  # unlike Path.is_file, at peace with any text
        return path
    stem = path.name.removesuffix(".yaml").removesuffix(".yml")
    if path.parent.name in ("", folder.name) and stem in shipped:
        return folder / f"{stem}.yaml"
    if os.path.isdir(path):
        raise SpecError(f"{what} {short(str(name_or_path))} is a folder, not a file.")
    hint = did_you_mean(stem, shipped)
    raise SpecError(f"no {what} {short(str(name_or_path))}: no such file or shipped name{hint}.")


def read_yaml(path: str | Path) -> tuple[Any, Lines]:
    """Return what a YAML file says, and the line of every key path in it, counted from 1."""
    return parse_yaml(read_text(Path(path)), str(path))


def read_spec(path: str | Path, model: "type[Model]") -> "Model":
    """Read a YAML file into a model; SpecError says file, line, field and what is wrong."""
    return parse_spec(read_text(Path(path)), model, str(path))


def parse_spec(text: str, model: "type[Model]", name: str) -> "Model":
    """Do as `read_spec` does, on a text; name stands for the file in errors."""
    data, lines = parse_yaml(text, name)
    return validate_spec(data, model, name, lines)


def validate_spec(
    data: object, model: "type[Model]", name: str, lines: Lines | None = None
) -> "Model":
    """Validate what was read elsewhere; name and lines say where, in the SpecError.

    A validator may call it, without lines, for a part of its own input: the error then has the line
    and the path of that part in the whole.
    """
    from pydantic import ValidationError

    if not isinstance(data, Mapping):
        raise SpecError(f"{name}: read {short(data)} where keys and values belong.")
    try:
        return model.model_validate(data)
    except ValidationError as invalid:
        error = _told(invalid, data, model, name, lines or {})
    raise error if lines is None else SpecError(str(error))


def read_json(path: str | Path) -> Any:
    """Return what a JSON file says; SpecError says what is wrong, a key given twice included."""
    import json

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise SpecError(f"{path}: {_one_line(key)[:60]}: given twice.")
            found[key] = value
        return found

    def whole(digits: str) -> int | str:  # Python reads no number of more than 4300 digits
        return int(digits) if len(digits) <= 4300 else digits

    try:
        return json.loads(read_text(Path(path)), object_pairs_hook=unique, parse_int=whole)
    except json.JSONDecodeError as broken:
        raise SpecError(f"{path}:{broken.lineno}: not JSON: {broken.msg}.") from None
    except RecursionError:
        raise SpecError(f"{path}: nested too deeply.") from None


def parse_yaml(text: str, name: str) -> tuple[Any, Lines]:
    """Do as `read_yaml` does, on a text; name stands for the file in errors."""
    import yaml

    loader = loader_class()(text)
    lines: Lines = {}
    try:
        _check_extent(text, name)
        node = loader.get_single_node()
        if node is None:
            raise SpecError(f"{name}: the file is empty.")
        for path, line in _key_lines(node, (), frozenset(), set(), name):
            lines.setdefault(path, line)
        return loader.construct_document(node), lines
    except yaml.YAMLError as broken:
        mark = getattr(broken, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark else name
        problem = getattr(broken, "problem", None) or getattr(broken, "reason", None) or "broken"
        raise SpecError(f"{where}: not YAML: {_one_line(str(problem))}.") from None
    except RecursionError:
        raise SpecError(f"{name}: nested too deeply.") from None
    except ValueError as broken:
        if isinstance(broken, SpecError):
            raise
        raise SpecError(f"{name}: not YAML: {_one_line(str(broken))}.") from None
    finally:
        loader.dispose()


def read_text(path: Path) -> str:
    """Return the text of a file; SpecError says why there is none."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
        if len(data) > _LARGEST_FILE:
            raise SpecError(f"{path}: is larger than {_LARGEST_FILE // 10**6} MB.")
        return data.decode("utf-8-sig")
    except FileNotFoundError:
        raise SpecError(f"{path}: no such file.") from None
    except IsADirectoryError:
        raise SpecError(f"{path}: is a folder, not a file.") from None
    except UnicodeDecodeError:
        raise SpecError(f"{path}: is not UTF-8 text.") from None
    except SpecError:
        raise
    except (OSError, ValueError) as unreadable:
        reason = getattr(unreadable, "strerror", None) or str(unreadable)
        raise SpecError(f"{path}: cannot be read: {reason}.") from None


@cache
def loader_class() -> "type[yaml.SafeLoader]":
    """PyYAML's safe loader, in C where built, that reads 1e-3 as a number and dates as text."""
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        yaml_implicit_resolvers = {  # noqa: RUF012
            first: [rule for rule in rules if rule[0] != "tag:yaml.org,2002:timestamp"]
            for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float", _FLOAT_WITHOUT_POINT, list("-+0123456789")
    )
    return Loader


def _check_extent(text: str, name: str) -> None:
    """Refuse a text too deep or too long to be built, event by event, before it is."""
    import yaml

    parser = loader_class()(text)
    depth = nodes = 0
    try:
        while parser.check_event():
            event = parser.get_event()  # type: ignore[no-untyped-call]
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            nodes += isinstance(event, yaml.NodeEvent)
            if depth > _DEEPEST or nodes > _MOST_NODES:
                line = event.start_mark.line + 1
                many = f"more than {_MOST_NODES:,} keys and values"
                what = "nested too deeply" if depth > _DEEPEST else many
                raise SpecError(f"{name}:{line}: {what}.")
    finally:
        parser.dispose()


def _check_integer(node: "yaml.Node", path: KeyPath, name: str) -> None:
    """Refuse a whole number that no column could hold, before it is worked out."""
    if node.tag != "tag:yaml.org,2002:int":
        return
    digits = str(node.value).replace("_", "")
    if len(digits) <= 18:
        return
    try:
        value = int(digits, 0) if len(digits) <= 80 else None
    except ValueError:  # 010 and 1:30, which only YAML reads
        value = None
    if value is None or abs(value) > _LARGEST_INTEGER:
        where = ": ".join(filter(None, (f"{name}:{node.start_mark.line + 1}", _dotted(path))))
        raise SpecError(f"{where}: read {short(node.value)}, a whole number beyond 2^63.")


def _key_lines(
    node: "yaml.Node", path: KeyPath, above: frozenset[int], seen: set[int], name: str
) -> Iterator[tuple[KeyPath, int]]:
    """Key paths under a node with their lines; an alias is not walked twice."""
    import yaml

    yield path, node.start_mark.line + 1
    if id(node) in above:
        raise SpecError(f"{name}:{node.start_mark.line + 1}: an anchor that contains itself.")
    if isinstance(node, yaml.ScalarNode):
        _check_integer(node, path, name)
    if id(node) in seen or isinstance(node, yaml.ScalarNode):
        return
    seen.add(id(node))
    above = above | {id(node)}
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _key_lines(item, (*path, index), above, seen, name)
    elif isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            line, word = key.start_mark.line + 1, str(key.value)
            below = (*path, word)
            _check_integer(key, path, name)
            if word in first:
                raise SpecError(
                    f"{name}:{line}: {_dotted(below)}: given twice, first on line {first[word]}."
                )
            first[word] = line
            yield below, line
            yield from _key_lines(value, below, above, seen, name)


def _told(
    invalid: "ValidationError", data: object, model: "type[BaseModel]", name: str, lines: Lines
) -> SpecError:
    """Tell the most telling of a validation's errors, and how many others there are."""
    faults: dict[KeyPath, tuple[int, int, str]] = {}
    guesses: set[KeyPath] = set()  # missing keys that a misspelt neighbour explains
    for error in invalid.errors(include_url=False):
        loc: KeyPath = error["loc"]
        cause = error.get("ctx", {}).get("error")
        path = _path_in(data, (*loc, *getattr(cause, "at", ())))
        unknown = error["type"] == "extra_forbidden"
        if unknown:
            keys = _keys_at(model, path[:-1])
            close = nearest(str(path[-1]), keys)
            guesses |= {(*path[:-1], close)} if close else set()
            what = f"unknown key{did_you_mean(str(path[-1]), keys)}"
        elif error["type"] == "missing":
            path = (*path, loc[-1])
            what = "missing"
        else:
            what = _fault(error, path)
        faults.setdefault(path, (not unknown, _line_of(path, lines), what))
    told = {path: fault for path, fault in faults.items() if path not in guesses} or faults
    path, (_, line, what) = min(told.items(), key=lambda item: item[1][:2])
    where = ": ".join(filter(None, (f"{name}:{line}" if line else name, _dotted(path))))
    more = len(told) - 1
    also = f" (and {more} more {'error' if more == 1 else 'errors'})" if more else ""
    fault = f"{_one_line(what).removesuffix('.')}{also}."
    return SpecError(f"{where}: {fault}", path, fault)


def _fault(error: Any, path: KeyPath) -> str:
    """What is wrong with a value, in words."""
    kind, value = error["type"], error["input"]
    context = error.get("ctx", {})
    if "error" in context:
        return str(getattr(context["error"], "fault", context["error"]))
    if kind in ("literal_error", "enum"):
        choices = re.findall(r"'([^']*)'", context["expected"])
        return f"unknown value {short(value)}{did_you_mean(str(value), choices)}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"read {short(value)} where keys and values belong"
    if kind in ("list_type", "tuple_type"):
        return f"read {short(value)} where a list belongs"
    return f"read {short(value)}: {error['msg'][0].lower()}{error['msg'][1:]}"


def _path_in(data: object, loc: KeyPath) -> KeyPath:
    """The part of pydantic's location that is keys of the data, and not names of its own."""
    path: list[str | int] = []
    for part in loc:
        keys: Any = range(len(data)) if isinstance(data, list) else data
        if not isinstance(keys, Mapping | range) or part not in keys:
            continue
        data = data[part]  # type: ignore[index]
        path.append(part)
    return tuple(path)


def _keys_at(model: Any, path: KeyPath) -> list[str]:
    """The keys that a model takes at a path, found along its annotations."""
    found = [model]
    for part in path:
        found = [inner for outer in found for inner in _below(outer, part)]
    fields = [getattr(each, "model_fields", {}) for each in found]
    return [field.alias or name for each in fields for name, field in each.items()]


def _below(annotation: Any, part: str | int) -> list[Any]:
    """What a key of a model, or any key or index of a container, leads to."""
    fields = getattr(annotation, "model_fields", None)
    if fields is None:
        return [arm for argument in get_args(annotation) for arm in arms(argument)]
    named = [field for name, field in fields.items() if part in (name, field.alias)]
    return [arm for field in named for arm in arms(field.annotation)]


def arms(annotation: Any) -> list[Any]:
    """An annotation with its unions taken apart and its metadata dropped."""
    if get_origin(annotation) is Annotated:
        return arms(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [arm for argument in get_args(annotation) for arm in arms(argument)]
    return [annotation]


def _line_of(path: KeyPath, lines: Lines) -> int:
    """The line of a key path, or of the nearest key above it; 0 where lines are not known."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 0)


def _dotted(path: KeyPath) -> str:
    """processors.gpu.peaks, on_chip[0].size."""
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")


def _one_line(text: str) -> str:
    return " ".join(text.split())
