"""What a search has asked and heard: every evaluation counted, written down as it is made."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from roofline.graphs.files import from_sentence, sentence
from roofline.graphs.graph import Graphs, stack
from roofline.graphs.utility import UtilityFailed
from spec_files import SpecError

if TYPE_CHECKING:
    from roofline.graphs.problem import Problem
    from roofline.graphs.utility import Utility

Array = np.ndarray

COLUMNS = ("evaluation", "utility", "cost", "units", "nodes", "width", "depth", "graph", "note")
OnFailure = Literal["stop", "skip"]


@dataclass(frozen=True)
class Entry:
    """One evaluation: the graph, a table of one; its utility, NaN where the benchmark failed."""

    graph: Graphs
    said: str
    utility: float
    cost: float
    note: str = ""


@dataclass(eq=False)
class Ledger:
    """Evaluates graphs for a search, up to `limit`, and keeps what it hears.

    A graph asked for again counts again and is not run again, so that methods are compared by what
    they ask. file: history.csv, appended to; after `resume`, what it says is not run again either.
    on_failure: what a benchmark that gives no number does: stop the search, or count the graph and
    go on.
    """

    problem: Problem
    utility: Utility
    limit: int
    file: Path | None = None
    known: dict[str, float] = field(default_factory=dict)
    on_failure: OnFailure = "stop"
    entries: list[Entry] = field(default_factory=list)
    asked: int = 0
    earlier: list[Entry] = field(default_factory=list)

    def resume(self) -> None:
        """Read what an interrupted search wrote; those evaluations are not made again.

        The search runs from its start once more and finds them answered. Graphs that it does not
        ask for again, as a language model may not, stay among those that are compared.
        """
        assert self.file is not None
        self.earlier = read_history(self.file, self.problem) if self.file.exists() else []
        for entry in self.earlier:
            self.known[entry.said] = entry.utility

    @property
    def left(self) -> int:
        """Evaluations that may still be made."""
        return max(0, self.limit - self.asked)

    def ask(self, graphs: Graphs, note: str = "") -> Array:
        """Evaluate graphs within the budget, as many as are left; return their utilities.

        NaN stands for a benchmark that failed. Raises SpecError where the search is to stop.
        """
        graphs = graphs[: self.left]
        if self.utility.swift and len(graphs):
            self._hear(graphs)
        values = [self._one(graphs[row], note) for row in range(len(graphs))]
        return np.array(values)

    def _hear(self, graphs: Graphs) -> None:
        """Ask a swift utility for a whole table at once."""
        values = self.utility(graphs)
        for row, value in enumerate(values):
            self.known.setdefault(sentence(graphs, self.problem.pool, row), float(value))

    def _one(self, graph: Graphs, note: str) -> float:
        said = sentence(graph, self.problem.pool)
        if said not in self.known:
            try:
                self.known[said] = float(self.utility(graph)[0])
            except UtilityFailed as failed:
                if self.on_failure == "stop":
                    raise SpecError(str(failed)) from None
                self.known[said] = np.nan
                note = f"{note}; {failed}".strip("; ")
        return self._keep(graph, said, self.known[said], note)

    def _keep(self, graph: Graphs, said: str, value: float, note: str) -> float:
        entry = Entry(graph, said, value, float(self.problem.cost(graph)[0]), note)
        self.entries.append(entry)
        self.asked += 1
        self._write(entry)
        return value

    def sweep(self, graphs: Graphs) -> None:
        """Evaluate a whole table of an enumeration, keeping those that beat all before them.

        Only for a swift utility: nothing but the best is written down.
        """
        values = self.utility(graphs)
        costs = self.problem.cost(graphs)
        kept = sorted(self.best(2), key=lambda entry: (entry.utility, -entry.cost))
        bar = (kept[0].utility, -kept[0].cost) if len(kept) == 2 else (-np.inf, -np.inf)
        candidates = np.flatnonzero(values >= bar[0])
        order = candidates[np.lexsort((costs[candidates], -values[candidates]))]
        for row in order[:50]:
            said = sentence(graphs, self.problem.pool, int(row))
            entry = Entry(graphs[int(row)], said, float(values[row]), float(costs[row]))
            ahead = {each.said for each in self.best(2)}
            if said not in ahead and (entry.utility, -entry.cost) > bar:
                self.entries.append(entry)
                self._write(entry)
        self.asked += len(graphs)

    def best(self, count: int = 1, earlier: bool = False) -> list[Entry]:
        """The best distinct graphs so far, at most `count`; of equals the cheaper.

        earlier: also those that an interrupted search had and this one did not ask for. A method
        does not look at them, so that it goes the way that it went.
        """
        among = [*self.entries, *self.earlier] if earlier else self.entries
        found: dict[str, Entry] = {}
        ranked = sorted(
            (each for each in among if each.utility == each.utility),
            key=lambda entry: (-round(entry.utility, 12), entry.cost),
        )
        for entry in ranked:
            found.setdefault(entry.said, entry)
            if len(found) == count:
                break
        return list(found.values())

    def trace(self) -> Array:
        """Best utility after each evaluation kept, (entries,)."""
        values = np.array([entry.utility for entry in self.entries])
        return np.fmax.accumulate(values) if len(values) else values

    def graphs(self) -> Graphs:
        """Every graph kept, in order."""
        return stack([entry.graph for entry in self.entries])

    def _write(self, entry: Entry) -> None:
        place = len(self.entries) - 1
        if self.file is None or (
            place < len(self.earlier) and any(each.said == entry.said for each in self.earlier)
        ):
            return
        units = float(self.problem.flops.units(entry.graph)[0])
        graph = entry.graph
        row = (
            len(self.entries), entry.utility, entry.cost, units,
            int(graph.present.sum()) - 1, int(graph.width()[0]), int(graph.depth()[0]),
            entry.said, entry.note,
        )  # fmt: skip
        new = not self.file.exists()
        with self.file.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            if new:
                writer.writerow(COLUMNS)
            writer.writerow(row)


def read_history(file: Path, problem: Problem) -> list[Entry]:
    """Evaluations that an interrupted search wrote; a line cut short is left out, and cut away."""
    text = file.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        file.write_text(whole, encoding="utf-8", newline="")
    found = []
    for line, row in enumerate(csv.DictReader(whole.splitlines()), start=2):
        try:
            said, value, cost = row["graph"], float(row["utility"]), float(row["cost"])
            graph = from_sentence(said, problem.pool)
        except (KeyError, TypeError, ValueError):
            raise SpecError(f"{file}:{line}: no evaluation of this search") from None
        if value == value:  # a benchmark that failed is asked again
            found.append(Entry(graph, said, value, cost, row.get("note") or ""))
    return found
