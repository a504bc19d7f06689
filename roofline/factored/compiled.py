"""Loops that were written out, compiled by numba, and kept for the next run.

Compiling takes seconds, and the same space under the same law leads to the same loops, whatever the
numbers. So their text is kept in the user's cache folder, with numba's machine code beside it.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from hashlib import sha256
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from roofline.factored import beaten
from roofline.outputs import write_text

_HEAD = "import numba\nimport numpy as np\n\nINFINITY = np.inf\n"
_ENTRY = "@numba.njit(nogil=True, error_model='numpy', cache=CACHE)\n"


def compiled(loops: str) -> Callable[..., Any]:
    """Return the function `loops` of a text, compiled; where no folder can be written, not kept."""
    text = inspect.getsource(beaten)
    for name in ("beaten_of_two", "beaten"):
        text = text.replace(f"def {name}(", f"@numba.njit(inline='always')\ndef {name}(")
    text = f"{_HEAD}{text}\n\n{_ENTRY}{loops}\n"
    kept = _kept(text)
    if kept is not None:
        return kept
    import numba  # noqa: F401  (of the text)

    names: dict[str, Any] = {}
    exec(compile(text.replace("CACHE", "False"), "<loops over a grid>", "exec"), names)
    function: Callable[..., Any] = names["loops"]
    return function


def _kept(text: str) -> Callable[..., Any] | None:
    """Return the function from a file of the cache, which is written if it is not there."""
    import pooch

    text = text.replace("CACHE", "True")
    name = f"loops_{sha256(text.encode()).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name].loops
    folder = Path(os.environ.get("ROOFLINE_CACHE") or pooch.os_cache("roofline")) / "kernels"
    file = folder / f"{name}.py"
    try:
        if not file.exists():
            folder.mkdir(parents=True, exist_ok=True)
            write_text(file, text)
    except OSError:
        return None
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        return None
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.loops
