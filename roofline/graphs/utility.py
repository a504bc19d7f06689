"""What a graph is worth: the surrogate's accuracy, or whatever a user's own benchmark says."""

from __future__ import annotations

import importlib
import json
import math
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from roofline.graphs.files import as_json
from spec_files import SpecError, short

if TYPE_CHECKING:
    from roofline.graphs.graph import Graphs
    from roofline.graphs.pool import Pool, Task
    from roofline.graphs.surrogate import Surrogate

Array = np.ndarray

_FUNCTION = re.compile(r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
TIME_OUT = 600.0


class UtilityFailed(Exception):
    """A benchmark that gave no number for a graph; its text is a sentence."""


class Utility(Protocol):
    """Scores of graphs, the higher the better."""

    swift: bool
    """Whether it costs next to nothing, so that millions may be asked for."""

    def __call__(self, graphs: Graphs) -> Array:
        """Return a finite number for each graph, (G,); raise UtilityFailed where there is none."""


@dataclass(frozen=True)
class SurrogateUtility:
    """Accuracy by the fitted surrogate."""

    surrogate: Surrogate
    task: Task
    pool: Pool
    swift = True

    def __call__(self, graphs: Graphs) -> Array:
        """Predict accuracies."""
        return self.surrogate.predict(graphs, self.task, self.pool).accuracy


@dataclass(frozen=True)
class FunctionUtility:
    """A Python function that takes a graph as a dictionary and returns a number."""

    name: str
    function: Callable[[dict[str, Any]], float]
    pool: Pool
    swift = False

    def __call__(self, graphs: Graphs) -> Array:
        """Ask for each graph."""
        found = []
        for row in range(len(graphs)):
            try:
                said = self.function(as_json(graphs, self.pool, row))
            except Exception as error:
                what = f"{type(error).__name__}: {error}"
                raise UtilityFailed(f"--utility {self.name} failed: {short(what)}") from error
            found.append(_number(said, self.name))
        return np.array(found)


@dataclass(frozen=True)
class CommandUtility:
    """A command that gets a graph as JSON on standard input and prints a number on its last line.

    time_out: seconds that it may take for one graph.
    """

    command: str
    pool: Pool
    time_out: float = TIME_OUT
    swift = False

    def __call__(self, graphs: Graphs) -> Array:
        """Run the command for each graph."""
        return np.array([self._run(graphs, row) for row in range(len(graphs))])

    def _run(self, graphs: Graphs, row: int) -> float:
        said = json.dumps(as_json(graphs, self.pool, row))
        called = f"--utility {short(self.command)}"
        try:
            process = subprocess.Popen(
                shlex.split(self.command), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True, start_new_session=True,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise SpecError(f"{called}: cannot be run: {reason}") from None
        try:
            out, complaint = process.communicate(said, self.time_out)
        except subprocess.TimeoutExpired:
            raise UtilityFailed(f"{called}: no answer within {self.time_out:g} s") from None
        finally:
            if process.poll() is None:  # with all that it started
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        if process.returncode != 0:
            last = (complaint.strip().splitlines() or ["it said nothing"])[-1]
            raise UtilityFailed(f"{called}: exit code {process.returncode}: {short(last)}")
        lines = out.strip().splitlines()
        return _number(lines[-1] if lines else "", self.command)


def _number(said: object, name: str) -> float:
    try:
        value = float(said)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise UtilityFailed(f"--utility {short(name)}: read {short(said)} where a number belongs")
    return value


def load_utility(text: str, pool: Pool, time_out: float = TIME_OUT) -> Utility:
    """Return a user's utility: `module:function`, or else a command line.

    Raises SpecError for a module or function that does not exist, and for an empty command.
    """
    if not _FUNCTION.match(text):
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise SpecError(f"--utility: read {short(text)}: {error}") from None
        if not words:
            raise SpecError("--utility: name module:function, or a command")
        return CommandUtility(text, pool, time_out)
    module, _, name = text.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        function = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise SpecError(f"--utility {text}: cannot import {module}: {short(str(error))}") from None
    except AttributeError:
        raise SpecError(f"--utility {text}: module {module} has no {name!r}") from None
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise SpecError(f"--utility {text}: {module} fails on import: {short(what)}") from None
    finally:
        sys.path.remove(os.getcwd())
    if not callable(function):
        raise SpecError(f"--utility {text}: {name} is no function")
    return FunctionUtility(text, function, pool)
