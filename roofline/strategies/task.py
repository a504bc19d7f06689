"""A task: how long its questions and answers are, how hard it is, what models reach on it."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from roofline.strategies.difficulty import CONCENTRATION, WRONG_ANSWERS
from spec_files import find_spec, read_yaml, validate_spec
from spec_files.model import Spec

FOLDER = Path(__file__).parent / "tasks"


class Report(Spec):
    """What somebody published that a model reaches on a task with one answer a question."""

    pass_at_1: float = Field(gt=0, lt=1)
    """Share of the questions answered right."""
    source: str
    """Where it was published."""
    date: str
    """Of the source."""
    checked: bool = True
    """Whether the number was held against its source or a copy of it; a plan says where not."""


class Task(Spec):
    """A benchmark, or one's own kind of question."""

    name: str
    """What commands and tables call it; the file's name where not given."""
    title: str
    """In words."""
    prompt: int = Field(ge=1, le=1_000_000)
    """Tokens of a question, instructions included."""
    answer: int = Field(ge=1, le=1_000_000)
    """Tokens of an answer, its reasoning included, on average."""
    lengths_source: str
    """Where both lengths come from."""
    steps: int = Field(default=8, ge=1, le=40)
    """Steps of an answer that a process reward model scores; at most 40 rounds in arXiv
    2408.03314."""
    questions: int = Field(ge=1)
    """How many the benchmark has."""
    alpha: float = Field(gt=0, le=1e6)
    """Of the Beta of success; on one task models differ in beta."""
    concentration: float = Field(default=CONCENTRATION, gt=0, le=1e4)
    """c of the Dirichlet over wrong answers."""
    wrong_answers: int = Field(default=WRONG_ANSWERS, ge=1, le=1000)
    """V, wrong answers that a question offers."""
    difficulty_source: str
    """What alpha, c and V rest on."""
    floor: float = Field(default=0.0, ge=0, lt=1)
    """Accuracy of guessing."""
    searchable: float = Field(default=0.09, ge=0, le=1)
    """Share of the questions whose steps go wrong evenly, so that a search over steps gains: .09
    fitted here to REBASE against sampling on MATH (arXiv 2408.00724)."""
    revision_lost: float = Field(default=0.38, ge=0, le=1)
    """Mean share of right answers that a revision turns wrong: 38 % for naive revisions in arXiv
    2408.03314."""
    revision_mended: float = Field(default=1.0, ge=0, le=100)
    """Chance that a revision mends a wrong answer, as a multiple of a fresh sample's success; an
    assumption."""
    votes: bool = True
    """Whether answers can be told to be the same, so that they can be counted."""
    source: str
    """Of the benchmark."""
    date: str
    """Of the source."""
    models: dict[str, tuple[Report, ...]] = Field(default_factory=dict)
    """Reports by shipped model; of several the mean is taken, and their spread is the error."""


def task_names() -> list[str]:
    """Return the names of the shipped tasks, in alphabetical order."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def load_task(name: str | Path) -> Task:
    """Return a task by its shipped name, or from the YAML file that a path leads to.

    Raises SpecError for an unknown name (with the nearest) or field.
    """
    path = find_spec(name, FOLDER, "task")
    data, lines = read_yaml(path)
    if isinstance(data, dict):
        data = {"name": path.stem} | data
    return validate_spec(data, Task, str(path), lines)
