"""A surrogate of a graph's accuracy: few coefficients, fitted to published scores.

Everything is in log-odds of being right. A model that answers alone has the log-odds s of its
published accuracy. A node pools the answers that it reads, and an assistant its own beside them,
with weights w that favour the better ones:

    w_i  proportional to  exp(k z_i)
    z  =  Q + g (log N + rho R) exp(-h (E - 1))

Q is the mean of s over the answers that the node's own rests on, whatever way they came, and N how
many those are in effect, 1 / sum of squared shares: an answer that arrives on two ways counts once.
R counts the revisions on the way, the l-th of a chain as 1 / l. E is how many texts were written
for the node to read, directly or not, its own included unless it is the sink: they crowd its
prompt. k, the sharpness, says how well a node tells good answers from bad ones; g is the task's
gain from collaboration, h what crowding takes of it.

Fitted: k, h and one g a task, to the published graphs of equal cost, taken as stars, since their
edges are not published. Assumed, for no score is published that would settle them: that E counts
texts and not edges, so that depth crowds as width does; that k is in proportion to the odds of the
reading model, the sink's being the one that was fitted; and rho, which is chosen so that the best
graph of MATH within 18 units has the 56 % that arXiv 2511.00086 reports. The width and the depth
of layered graphs then each have an optimum between the ends, and the optimal depth falls as width
grows, as that paper finds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from roofline.graphs.graph import ASSISTANT, SINK, Graphs, stack, star
from roofline.graphs.pool import alone, load_task, published_sink, shipped_tasks
from spec_files import SpecError

if TYPE_CHECKING:
    from roofline.graphs.pool import Pool, Task

Array = np.ndarray
Number = Array | float

REVISION = 0.2
"""rho: a chain's first revision, in the logarithm of answers; chosen, not fitted."""

STARTS = (1.0, 2.0, 5.0)
"""Sharpness that fits start from."""


@dataclass(frozen=True)
class Coefficients:
    """sharpness k, crowding h and the task's gain g, of log-odds; numbers, or (G,)."""

    sharpness: Number
    crowding: Number
    gain: Number


@dataclass(frozen=True)
class Prediction:
    """Accuracies of G graphs, (G,), and what is known of their error.

    error: root of the mean squared error on graphs that the fit had not seen, as a share of one.
    within: (G,) bool, whether a graph is of the kind that was fitted: a star no wider than those.
    """

    accuracy: Array
    error: float
    within: Array


def log_odds(accuracy: Number) -> Array:
    """Log-odds of accuracies."""
    known = np.asarray(accuracy)
    return np.log(known) - np.log1p(-known)


def score(graphs: Graphs, single: Array, using: Coefficients) -> Array:
    """Log-odds that the sink's decision is right, (G,).

    single: log-odds of each model of the pool alone, the sink's last, (P,), or (G, P) where graphs
    are of several tasks; the coefficients are then (G,) too.
    """
    count, places = graphs.models.shape
    known = np.broadcast_to(single, (count, np.shape(single)[-1]))
    own = np.take_along_axis(known, graphs.models, axis=1)
    sharp = np.broadcast_to(using.sharpness, count)[:, None] * np.exp(own - known[:, -1:])
    revises = 1.0 / np.maximum(graphs.levels(), 1)
    same = np.broadcast_to(np.eye(places), (count, places, places))
    rests = same.copy()  # shares of the answers that a node's rest on
    above = same.astype(bool)  # whose texts a node has before it, its own too
    z = own.copy()
    revisions = np.zeros((count, places))
    for node in np.flatnonzero(graphs.edges.any(axis=(0, 1))):  # the others read nobody
        reads = graphs.edges[:, :, node]
        last = graphs.roles[:, node] == SINK
        itself = np.where(graphs.roles[:, node] == ASSISTANT, 1.0, 0.0)
        weights = reads * np.exp(sharp[:, node, None] * (z - own[:, node, None]))
        # An assistant weighs its own answer beside those that it reads.
        whole = weights.sum(axis=1) + itself
        whole = np.where(whole > 0, whole, 1.0)
        weights = weights / whole[:, None]
        rests[:, node] = np.einsum("gi,gij->gj", weights, rests)
        rests[:, node, node] = itself / whole
        above[:, node] = (reads[:, :, None] & above).any(axis=1)
        above[:, node, node] = ~last
        revised = np.where(reads.any(axis=1) & ~last, revises[:, node], 0.0)
        revisions[:, node] = np.einsum("gi,gi->g", weights, revisions) + revised
        quality = np.einsum("gj,gj->g", rests[:, node], own)
        squares = np.square(rests[:, node]).sum(axis=1)
        answers = -np.log(np.where(squares > 0, squares, 1.0))
        crowd = np.maximum(above[:, node].sum(axis=1) - 1.0, 0.0)
        worth = answers + REVISION * revisions[:, node]
        z[:, node] = quality + using.gain * worth * np.exp(-using.crowding * crowd)
    return z[:, -1]


def accuracy(graphs: Graphs, single: Array, using: Coefficients) -> Array:
    """The same as an accuracy, (G,)."""
    return 1.0 / (1.0 + np.exp(-score(graphs, single, using)))


@dataclass(frozen=True, eq=False)
class Surrogate:
    """A fitted surrogate of several tasks.

    tasks: those with graphs of their own, in the order of the arrays. coefficients: by task's
    title. published, fitted: accuracies of all published graphs of more than one model. held_out:
    predictions of each where it was left out of the fit. unseen: the same where its whole task was,
    with the other tasks' mean gain in place of its own. widest: most answers that a fitted sink
    reads.
    """

    tasks: tuple[Task, ...]
    coefficients: dict[str, Coefficients]
    published: Array
    fitted: Array
    held_out: Array
    unseen: Array
    widest: int

    @property
    def error(self) -> float:
        """Root mean square error of `held_out`, as a share of one."""
        return rms(self.held_out - self.published)

    @property
    def error_unseen(self) -> float:
        """Root mean square error of `unseen`, as a share of one."""
        return rms(self.unseen - self.published)

    def of(self, task: Task) -> Coefficients:
        """Coefficients of a task; one without graphs of its own has the others' mean gain."""
        return self.coefficients.get(task.title) or _mean(self.coefficients)

    def predict(self, graphs: Graphs, task: Task, pool: Pool) -> Prediction:
        """Predict the accuracies of graphs of a pool's models on a task."""
        found = accuracy(graphs, log_odds(alone(task, pool)), self.of(task))
        within = (graphs.depth() <= 1) & (graphs.in_degree()[:, -1] <= self.widest)
        known = task.title in self.coefficients
        return Prediction(found, self.error if known else self.error_unseen, within)


def rms(errors: Array) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.square(errors))))


def _mean(of: dict[str, Coefficients]) -> Coefficients:
    """Coefficients of a task that nothing is known of: sharpness and crowding are all tasks'."""
    every = list(of.values())
    gain = float(np.mean([each.gain for each in every]))
    return Coefficients(every[0].sharpness, every[0].crowding, gain)


@dataclass(frozen=True, eq=False)
class Rows:
    """R published graphs that more than one model answers, as stars, of one or several tasks.

    single: (R, P) log-odds of the models of each row's task alone, its sink's last; task: (R,).
    """

    task: Array
    single: Array
    graphs: Graphs
    accuracy: Array

    def __getitem__(self, keep: Array) -> Rows:
        return Rows(self.task[keep], self.single[keep], self.graphs[keep], self.accuracy[keep])

    def predicted(self, point: Array) -> Array:
        """Accuracies by sharpness, crowding and the gain of each task."""
        using = Coefficients(point[0], point[1], point[2:][self.task])
        return accuracy(self.graphs, self.single, using)


def _rows(tasks: Sequence[Task]) -> Rows:
    """What the files of tasks publish of graphs of more than one model."""
    names = list(dict.fromkeys(name for task in tasks for name in task.accuracy))
    number, single, stars, found = [], [], [], []
    for position, task in enumerate(tasks):
        odds = [log_odds(task.accuracy[m]) if m in task.accuracy else np.nan for m in names]
        sink = odds[names.index(published_sink())] if published_sink() in names else odds[0]
        for each in task.graphs:
            models = list(Counter(each.models).elements())
            if len(models) > 1:
                number.append(position)
                single.append([*odds, sink])
                stars.append(star([names.index(model) for model in models], len(names)))
                found.append(each.accuracy)
    return Rows(np.array(number), np.array(single), stack(stars), np.array(found))


def fit(tasks: Sequence[Task]) -> Surrogate:
    """Fit the surrogate to the published graphs of tasks, and hold out each graph and each task.

    Least squares of accuracy, from several starts and then from the best fit, so that the same data
    give the same fit. Raises SpecError where no task has a graph of more than one model.
    """
    fitted = [task for task in tasks if any(sum(g.models.values()) > 1 for g in task.graphs)]
    if not fitted:
        raise SpecError("surrogate: no task has a published graph of more than one model")
    rows = _rows(fitted)
    gains = np.full(len(fitted), 0.3)
    starts = [np.array([sharpness, 0.1, *gains]) for sharpness in STARTS]
    best = min((_fit(rows, start) for start in starts), key=lambda found: found[1])[0]
    held_out, unseen = np.zeros((2, len(rows.accuracy)))
    for row in range(len(held_out)):
        without = _fit(rows[np.arange(len(held_out)) != row], best)[0]
        held_out[row] = rows.predicted(without)[row]
    for task in range(len(fitted)):
        others = rows.task != task
        if others.any():
            without = _fit(rows[others], best)[0]
        unseen[~others] = rows[~others].predicted(without)
    named = {
        task.title: Coefficients(float(best[0]), float(best[1]), float(gain))
        for task, gain in zip(fitted, best[2:], strict=True)
    }
    widest = int(rows.graphs.in_degree()[:, -1].max())
    return Surrogate(
        tuple(fitted), named, rows.accuracy, rows.predicted(best), held_out, unseen, widest
    )


def _fit(rows: Rows, start: Array) -> tuple[Array, float]:
    """Best coefficients and half their squared error; a task without rows has the mean gain."""
    from scipy.optimize import least_squares

    least = [0.0, 0.0] + [-np.inf] * (len(start) - 2)
    found = least_squares(
        lambda point: rows.predicted(point) - rows.accuracy, start, bounds=(least, np.inf)
    )
    point: Array = found.x
    known = np.isin(np.arange(len(start) - 2), rows.task)
    point[2:] = np.where(known, point[2:], point[2:][known].mean())
    return point, float(found.cost)


@cache
def published() -> Surrogate:
    """Return the surrogate fitted to the shipped tasks."""
    return fit([load_task(name) for name in shipped_tasks()])
