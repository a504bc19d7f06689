"""What a graph is made of: the models of a pool, and the task that they work on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from roofline.graphs.graph import Graphs, star
from spec_files import SpecError, did_you_mean, find_spec, read_spec
from spec_files.model import Spec

Array = np.ndarray

FOLDER = Path(__file__).parent / "published"
MODELS = FOLDER / "models.yaml"
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"

Accuracy = Annotated[float, Field(gt=0, lt=1)]
Date = Annotated[str, BeforeValidator(str)]  # a year alone is a number to YAML


class Model(Spec):
    """One model, as the published cost model and the engine see it."""

    title: str = ""
    """In words."""
    parameters: float = Field(gt=0, le=1e15)
    """All of them, as a number."""
    layers: int = Field(ge=1, le=10_000)
    """Depth, for the published cost of attention."""
    width: int = Field(ge=1, le=10_000_000)
    """Hidden size, for the same."""
    architecture: str | None = None
    """A shipped model, a model YAML or a config.json; needed to price it on a device."""


class Models(Spec):
    """The models that pools are chosen from, and which of them is the sink of every graph."""

    source: str
    """Where the models were published."""
    date: Date
    """Of the source."""
    sink: str
    """The model that decides in every graph, by name."""
    models: dict[Annotated[str, Field(pattern=_NAME)], Model] = Field(min_length=1)
    """By the name that pools and graphs call it."""

    @model_validator(mode="after")
    def _has_its_sink(self) -> Self:
        if self.sink not in self.models:
            hint = did_you_mean(self.sink, self.models)
            raise SpecError(f"no model {self.sink!r}{hint}", at=("sink",))
        return self


class Scored(Spec):
    """A measured graph of which only the models are known: how often each, and its accuracy."""

    models: dict[str, Annotated[int, Field(ge=1, le=64)]] = Field(min_length=1)
    """How often each stands in the graph, by name."""
    accuracy: Accuracy
    """Measured, as a share of one."""


class Task(Spec):
    """A task: mean lengths of its prompt and answer in tokens, and what is known to solve it."""

    title: str
    """In words."""
    prompt: int = Field(ge=1, le=10_000_000)
    """Tokens of a question, on average."""
    answer: int = Field(ge=1, le=10_000_000)
    """Tokens of an answer, on average."""
    source: str
    """Where lengths and accuracies were published."""
    date: Date
    """Of the source."""
    accuracy: dict[str, Accuracy] = Field(min_length=1)
    """Of one model alone, by the model's name."""
    graphs: tuple[Scored, ...] = ()
    """Measured graphs, which the surrogate is fitted to."""

    @model_validator(mode="after")
    def _knows_its_models(self) -> Self:
        for row, scored in enumerate(self.graphs):
            for name in scored.models:
                if name not in self.accuracy:
                    hint = did_you_mean(name, self.accuracy)
                    raise SpecError(
                        f"no accuracy of model {name!r} alone{hint}", at=("graphs", row, "models")
                    )
        return self


@dataclass(frozen=True, eq=False)
class Pool:
    """The models that a search may place, and the sink; arrays are (P,), the sink's last.

    names: of the models; a graph's codes are positions in it. choices: how many may be placed; the
    sink stands behind them. parameters, layers, width: of each. architectures: what prices each on
    a device; None where that is not known. smallest: parameters, layers and width of the smallest
    model of the file, which budgets are counted in whatever the pool.
    """

    names: tuple[str, ...]
    choices: int
    parameters: Array
    layers: Array
    width: Array
    architectures: tuple[str | None, ...]
    smallest: tuple[float, float, float]

    @property
    def sink(self) -> int:
        """Code of the sink's model."""
        return len(self.names) - 1

    def code(self, name: str) -> int:
        """Return the code of a model that may be placed; SpecError names the nearest."""
        if name not in self.names[: self.choices]:
            hint = did_you_mean(name, self.names[: self.choices])
            raise SpecError(f"no model {name!r} in the pool{hint}")
        return self.names.index(name)

    def star(self, models: Sequence[str]) -> Graphs:
        """Return one graph of named assistants side by side."""
        return star([self.code(name) for name in models], self.sink)


def load_pool(names: Sequence[str], file: str | Path | None = None) -> Pool:
    """Return a pool of named models of a file, by default the published ones.

    Raises SpecError for a model that the file does not have, and for one named twice.
    """
    table = read_spec(MODELS if file is None else find_spec(file, FOLDER, "file of models"), Models)
    if not names:
        raise SpecError(f"--pool: no model was named{did_you_mean('', table.models)}")
    for position, name in enumerate(names):
        if name not in table.models:
            raise SpecError(f"--pool: no model {name!r}{did_you_mean(name, table.models)}")
        if name in names[:position]:
            raise SpecError(f"--pool: {name!r} is named twice")
    rows = [table.models[name] for name in (*names, table.sink)]
    least = min(table.models.values(), key=lambda row: row.parameters)
    return Pool(
        names=(*names, table.sink),
        choices=len(names),
        parameters=np.array([row.parameters for row in rows], dtype=float),
        layers=np.array([row.layers for row in rows], dtype=float),
        width=np.array([row.width for row in rows], dtype=float),
        architectures=tuple(row.architecture for row in rows),
        smallest=(least.parameters, float(least.layers), float(least.width)),
    )


@cache
def published_sink() -> str:
    """Name of the model that decides in the published graphs."""
    return read_spec(MODELS, Models).sink


def shipped_tasks() -> list[str]:
    """Names of the published tasks, sorted."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml") if file != MODELS)


def load_task(name_or_path: str | Path) -> Task:
    """Load a task by the path of its file or by a published name."""
    try:
        file = find_spec(name_or_path, FOLDER, "task")
    except SpecError:
        if Path(name_or_path).suffix:
            raise
        file = MODELS
    if file == MODELS:
        hint = did_you_mean(str(name_or_path), shipped_tasks())
        raise SpecError(f"no task {str(name_or_path)!r}: no such file or published name{hint}.")
    return read_spec(file, Task)


def alone(task: Task, pool: Pool, name: str = "task") -> Array:
    """Accuracy of each model of a pool alone on a task, (P,); SpecError where one is not known."""
    for model in pool.names:
        if model not in task.accuracy:
            hint = did_you_mean(model, task.accuracy)
            raise SpecError(f"{name} {task.title}: no accuracy of model {model!r} alone{hint}")
    return np.array([task.accuracy[model] for model in pool.names])
