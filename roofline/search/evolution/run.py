"""A heuristic search from its first generation to its last step, repeatable and resumable."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from roofline.search.checkpoints import read_checkpoint, write_checkpoint
from roofline.search.evolution.encoding import Encoding
from roofline.search.evolution.genetic import Breeder
from roofline.search.evolution.operators import around
from roofline.search.evolution.start import first, shipped_references
from roofline.search.evolution.state import Archive, Growth, contributions
from roofline.search.problem import Problem
from roofline.search.result import SearchResult
from spec_files import SpecError, did_you_mean

if TYPE_CHECKING:
    from arch_space.architectures import Architectures

Progress = Callable[[int, int], None]

ALGORITHMS = {"nsga2": "NSGA-II", "nsga3": "NSGA-III"}

POPULATION = 200
POLISH = 0.25
"""Share of the evaluations that goes to the walk along the front."""
GENERATIONS = 40
"""Into which the evaluations are divided where there are too few for whole populations."""
WALKERS = 16
"""Share of a population, one in so many, that a step of the walk starts from."""
PATIENCE = 25
"""Generations' worth of evaluations after which the hypervolume must have grown."""
TOLERANCE = 1e-5
"""Share of the hypervolume; by less than this it has not grown."""


@dataclass(frozen=True)
class Settings:
    """What a run depends on beside its problem."""

    algorithm: str
    evaluations: int
    seed: int = 0
    population: int = POPULATION
    patience: int = PATIENCE
    tolerance: float = TOLERANCE

    def __post_init__(self) -> None:
        """Refuse what no run can be made of."""
        if self.algorithm not in ALGORITHMS:
            hint = did_you_mean(self.algorithm, ALGORITHMS)
            raise SpecError(f"unknown algorithm {self.algorithm!r}{hint}")
        if self.evaluations < 1 or self.population < 4:
            raise SpecError("a search needs at least 1 evaluation and a population of 4")
        if self.patience < 1 or not self.tolerance >= 0:
            raise SpecError("patience must be at least 1 generation, and tolerance at least 0")


def evolve(
    problem: Problem,
    *,
    algorithm: str = "nsga2",
    evaluations: int = 100_000,
    population: int = POPULATION,
    seed: int = 0,
    patience: int = PATIENCE,
    tolerance: float = TOLERANCE,
    references: Architectures | None = None,
    progress: Progress | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: float = 2.0,
) -> SearchResult:
    """Search a space with at most so many evaluations; a seed makes the run repeatable.

    algorithm: nsga2 or nsga3. The first covers more of the hypervolume here, with two objectives as
    with six (`benchmarks/pymoo_against_exact.py --algorithms`): the front is kept outside of the
    population, and it is thin, for most objectives rise and fall together.

    The first generation is of corners of the space, of the candidates nearest to reference models
    (all shipped ones by default), and of random ones. Offspring that break a rule are moved to the
    nearest candidate; those evaluated before are bred again, so each evaluation is of a new
    candidate. A quarter of the evaluations goes to neighbours of the front, points that differ from
    a member in one value, first of those members that add most to the hypervolume; what is found
    there breeds too. Once `patience` generations' worth of evaluations add no more than `tolerance`
    of the hypervolume, the walk goes on alone, until it finds no more either. The evaluations end
    the run at the latest. The front is that of all evaluated.

    checkpoint: a file that the search continues from, if it is there, and that is written every so
    many seconds and at the end; the front is the same, byte for byte, as without interruption.
    """
    settings = Settings(algorithm, evaluations, seed, population, patience, tolerance)
    problem.check()
    path = Path(checkpoint) if checkpoint else None
    run = _Run(problem, settings, shipped_references() if references is None else references)
    if path and path.exists():
        run.load(path)
    began = saved = time.perf_counter()
    before = run.seconds
    while run.phase != "done":
        run.step()
        now = time.perf_counter()
        run.seconds = before + now - began
        if path and (now - saved >= checkpoint_every or run.phase == "done"):
            run.save(path)
            saved = now
        if progress:
            progress(evaluations if run.phase == "done" else run.archive.evaluated, evaluations)
    return SearchResult.of(
        problem,
        run.archive.keys,
        run.archive.points,
        evaluated=run.archive.evaluated,
        feasible=run.archive.feasible,
        seconds=run.seconds,
        method=algorithm,
    )


class _Run:
    """A search under way: `step` takes it on, and between two steps it can be saved."""

    def __init__(self, problem: Problem, settings: Settings, references: Architectures):
        self.settings, self.references = settings, references
        self.rng = np.random.default_rng(settings.seed)
        self.encoding, self.archive = Encoding(problem.space), Archive.of(problem)
        # A few generations at least, and more evaluations in each where there are many.
        self.population = min(settings.population, max(4, settings.evaluations // GENERATIONS))
        self.growth = Growth(settings.patience * self.population, settings.tolerance)
        self.breeder = Breeder(
            self.encoding, self.archive, settings.algorithm, self.population, self.rng
        )
        self.phase = "first"
        self.walked = np.empty(0, dtype=np.int64)
        self.walk_spent = 0
        self.seconds = 0.0

    @property
    def left(self) -> int:
        """Evaluations that may still be made."""
        return self.settings.evaluations - self.archive.evaluated

    def step(self) -> None:
        """Make the next generation, or go to neighbours of some members of the front."""
        if self.phase == "first":
            most = min(self.population, self.left)
            self.breeder.begin(first(self.encoding, self.archive, self.references, most, self.rng))
            self.growth.begin(self.archive)
            self.phase = "search"
        elif self.phase == "search":
            behind = self.walk_spent < POLISH * self.archive.evaluated
            moved = (behind and self._walk()) or self.breeder.breed(self.left) or self._walk()
            if not moved or self.growth.stalled(self.archive):
                self.growth.begin(self.archive)
                self.phase = "walk"
        elif self.growth.stalled(self.archive) or not self._walk():
            self.phase = "done"
        if self.left <= 0:
            self.phase = "done"

    def _walk(self) -> bool:
        """Evaluate neighbours of the members that add most to the hypervolume, once of each.

        Where a front has gaps, those at their ends add most. False where all were walked from.
        """
        front = self.archive
        fresh = np.flatnonzero(~np.isin(front.keys, self.walked))
        if not len(fresh):
            return False
        fresh = self.rng.permutation(fresh)
        order = np.argsort(-contributions(front.points)[fresh], kind="stable")
        from_here = front.keys[fresh[order[: max(1, self.population // WALKERS)]]]
        near = self.encoding.points(around(self.encoding, self.encoding.ranks(from_here)))
        near = self.rng.permutation(near[front.new(near)])[: self.left]
        self.walked = np.concatenate([self.walked, from_here])
        self.walk_spent += len(near)
        if len(near):
            self.breeder.join(near)
        return True

    def save(self, path: Path) -> None:
        """Write all that the next step depends on."""
        before = self.growth.before
        arrays: dict[str, Any] = {
            "fingerprint": self._fingerprint(),
            "algorithm": self.settings.algorithm,
            "phase": self.phase,
            "random": json.dumps(self.rng.bit_generator.state),
            "walked": self.walked,
            "walk_spent": self.walk_spent,
            "since": self.growth.since,
            "before": self.archive.points[:0] if before is None else before,
            "seconds": self.seconds,
        }
        for part in ("archive", "breeder"):
            saved = getattr(self, part).save()
            arrays |= {f"{part}_{name}": value for name, value in saved.items()}
        write_checkpoint(path, arrays)

    def load(self, path: Path) -> None:
        """Go back to where a run was saved; SpecError if that was another run, or none."""
        saved = read_checkpoint(path)
        if str(saved.get("fingerprint")) != self._fingerprint():
            raise SpecError(
                f"{path}: a checkpoint of another search; space, device, workload, law, "
                "objectives, constraints, method, evaluations and seed must be the same"
            )
        try:
            for part in ("archive", "breeder"):
                names = [name for name in saved if name.startswith(f"{part}_")]
                getattr(self, part).load({n.removeprefix(f"{part}_"): saved[n] for n in names})
            self.rng.bit_generator.state = json.loads(str(saved["random"]))
            self.phase, self.walked = str(saved["phase"]), saved["walked"]
            self.walk_spent = int(saved["walk_spent"])
            self.growth.since, self.growth.before = int(saved["since"]), saved["before"]
            self.seconds = float(saved["seconds"])
        except (KeyError, TypeError, ValueError) as broken:
            raise SpecError(f"{path}: not the checkpoint of a whole search ({broken})") from None

    def _fingerprint(self) -> str:
        """Return a digest of all that the answer depends on, to know a resumed search by."""
        parts = (
            self.archive.problem.fingerprint(),
            repr(self.settings),
            self.references.to_frame().to_csv(),
            version("pymoo"),
            version("numpy"),
        )
        return sha256("\n".join(parts).encode()).hexdigest()
