"""What the reference is made of: each public name says what it is, its shapes and its errors.

The public names are those that the packages export, and the modules beside them that the site
describes. Whether a docstring owes something is read from the code that it stands on.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "docs" / "site"))
import python_api  # noqa: E402

OURS = ("roofline", "arch_space", "hardware_specs", "spec_files")
# (N,), (N, 3), (rows, k), "of the shape of k", "shaped as ...": how a docstring tells a shape.
SHAPE = re.compile(r"\([A-Za-z0-9 +]+,[^)]*\)|\bshape")

UNSAID = {
    "roofline.search.problem.Problem.conditions",
    "roofline.search.problem.Problem.sample",
    "roofline.search.enumeration.enumerate_exactly",
    "roofline.search.fronts.reference_point",
    "roofline.search.search.search",
}
"""Names that do not say yet what they should; nothing may join them."""


def plain(member: Any) -> Any:
    """Return the function below a method, a property or a cached property."""
    if isinstance(member, staticmethod | classmethod):
        return member.__func__
    return member.fget if isinstance(member, property) else getattr(member, "func", member)


def public() -> Iterator[tuple[str, Any, str]]:
    """Yield each public class, function and method: its name, itself, and what its class says."""
    seen = set()
    for room in (python_api.FRONT, *python_api.ROOMS):
        for name, home in python_api.public(room).items():
            value = getattr(import_module(room), name)
            if home in seen or not (inspect.isclass(value) or inspect.isfunction(value)):
                continue
            seen.add(home)
            yield home, value, ""
            for inner, member in vars(value).items() if inspect.isclass(value) else ():
                method = plain(member)
                public = not inner.startswith("_") and inspect.isfunction(method)
                if public and method.__module__.startswith(OURS):
                    yield f"{home}.{inner}", method, inspect.getdoc(value) or ""


PUBLIC = [each for each in public() if each[0] not in UNSAID]


def test_there_is_enough_to_look_at() -> None:
    import roofline

    assert len(PUBLIC) > 250
    assert {name.rsplit(".", 1)[-1] for name, _, _ in PUBLIC} > {
        name for name in roofline.__all__ if not name.startswith("_")
    }


@pytest.mark.parametrize(("value", "owner"), [p[1:] for p in PUBLIC], ids=[p[0] for p in PUBLIC])
def test_a_public_name_says_what_it_is(value: Any, owner: str) -> None:
    said = inspect.getdoc(value) or ""
    assert len(said.split()) >= 3
    assert said.splitlines()[0].endswith((".", "?", ":")), "one sentence stands on the first line"
    if inspect.isclass(value):
        return
    if "raise SpecError" in inspect.getsource(value):
        assert "SpecError" in said + owner, "it raises SpecError and does not say for what"
    if re.search(r"\bArray\b|ndarray", str(value.__annotations__.get("return", ""))):
        assert SHAPE.search(said + owner), "it returns an array and does not say of which shape"
