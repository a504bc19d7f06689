"""The loss of candidates as they would run: a law's value and what compression adds to it.

A number stands inside one law. Between candidates of one law a difference means something
(`relative`); between two laws it does not, since each was fitted on losses of its own text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from arch_space.architectures import FORMAT_COLUMNS, Architectures, columns
from roofline.laws.law import Array, Interval, Law, Limit, inside, reasons
from roofline.laws.penalties import Penalty, limits, penalty
from spec_files import SpecError

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 32_768
"""Candidates predicted at once: the columns of a chunk stay in a core's cache."""
DRAWS = 1000
"""Draws of a law's coefficients behind an interval."""


@dataclass(frozen=True, eq=False)
class Loss:
    """Predicted losses of N candidates; arrays are (N,).

    loss: in the law's unit, `penalty` included. penalty: nats that number formats and sparsity add
    to it. sd: of the difference between two candidates of the same law; NaN where unpublished.
    in_range: every part of the prediction rests on data that reaches the candidate.
    """

    law: Law
    loss: Array
    in_range: Array
    penalty: Array
    sd: Array

    def __len__(self) -> int:
        return len(self.loss)

    def to_frame(self) -> pd.DataFrame:
        """Return a DataFrame of N rows: loss, penalty, sd and in_range."""
        import pandas as pd

        arrays = np.broadcast_arrays(*(getattr(self, name) for name in ARRAYS))
        return pd.DataFrame(dict(zip(ARRAYS, arrays, strict=True)))

    def _repr_html_(self) -> str:
        from roofline.html_table import html_table, spread_rows

        frame = self.to_frame()
        shown = frame.iloc[spread_rows(len(frame))]
        rows = [
            [
                str(i),
                f"{row.loss:.4f}",
                f"{row.penalty:.4f}",
                "–" if row.sd != row.sd else f"{row.sd:.4f}",
                "yes" if row.in_range else "no",
            ]
            for i, row in zip(shown.index, shown.itertuples(), strict=True)
        ]
        heads = ["candidate", f"loss ({self.law.unit})", "of formats", "sd", "within its data"]
        return html_table(heads, rows, title=self.law.title)


@dataclass(frozen=True, eq=False)
class Relative:
    """Losses of N candidates beside that of a baseline, by one law; arrays are (N,).

    difference: candidate less baseline in nats, or candidate over baseline of a law whose unit is a
    ratio. sd: of that number; NaN where nothing is known of the law's errors. in_range: of the
    candidate and of the baseline both.
    """

    law: Law
    difference: Array
    sd: Array
    in_range: Array

    @property
    def is_ratio(self) -> bool:
        """Whether a candidate equal to the baseline stands at 1, not at 0."""
        return not self.law.in_nats


ARRAYS = tuple(f.name for f in fields(Loss) if f.name != "law")


def predict(law: Law, arch: Architectures) -> Loss:
    """Predict the loss of N candidates.

    What number formats and sparsity add is added but for what the law sees itself (`covers`). It is
    known in nats, which a ratio cannot take: laws of a ratio leave it out and the candidate is
    outside their data.
    Raises SpecError for a weight format or a kind of sparsity whose effect nobody has published,
    and for activations of 4 bits.
    """
    if len(arch) <= CHUNK:
        return _chunk(law, arch)
    parts = [_chunk(law, arch[i : i + CHUNK]) for i in range(0, len(arch), CHUNK)]
    return Loss(law, *(np.concatenate([getattr(p, name) for p in parts]) for name in ARRAYS))


def out_of_range_reasons(law: Law, arch: Architectures) -> list[str]:
    """Say for each candidate why `predict` puts it outside the data; '' where it does not."""
    return reasons(_limits(law, arch), len(arch))


def interval(
    law: Law, arch: Architectures, level: float = 0.9, draws: int = DRAWS, seed: int = 0
) -> tuple[Array, Array]:
    """Return low and high ends of the loss that one run of each candidate would reach, (N,) each.

    Where the law's `uncertainty` is known: quantiles over draws of its coefficients, each with the
    scatter of a single run. Where only `sd` is, which is that of a difference: the loss and that sd
    on either side, so that an error shared by all candidates is not in it. NaN where neither is
    known, as `uncertainty_basis` says. The errors of the penalties are in both.
    Raises SpecError as `predict` does, and for a level outside 0 to 1.
    """
    if not 0 < level < 1:
        raise SpecError(f"level: read {level:g}; an interval holds a share between 0 and 1")
    found = predict(law, arch)
    tails = [(1 - level) / 2, (1 + level) / 2]
    if law.uncertainty is None:
        reach = NormalDist().inv_cdf(tails[1]) * found.sd
        return found.loss - reach, found.loss + reach
    drawn, noise = law.draws(draws, seed), _noise(draws, seed)
    added = penalty(arch, law.covers)
    ends = np.empty((2, len(arch)))
    step = max(1, 2**20 // draws)  # bounds the memory of (draws, candidates)
    for i in range(0, len(arch), step):
        part = slice(i, i + step)
        losses = drawn.loss(arch[part]) * np.exp(law.uncertainty.residual * noise[0])
        if law.in_nats:
            more = [np.broadcast_to(a, (len(arch),))[part] for a in (added.nats, added.sd)]
            losses = losses + more[0] + more[1] * noise[1]
        ends[:, part] = np.quantile(losses, tails, axis=0)
    return ends[0], ends[1]


def uncertainty_basis(law: Law) -> str:
    """Say what the interval of a law's losses rests on, or why there is none."""
    if law.uncertainty is not None:
        return law.uncertainty.basis
    if law.sd is None:
        return f"none: nothing is published of the errors of law {law.name}"
    return "errors of differences between candidates; what all share is not in it"


def errors_known(law: Law) -> str:
    """Say in a word which errors of a law are known."""
    parts = {"coefficients": law.uncertainty, "differences": law.sd}
    return ", ".join(name for name, known in parts.items() if known is not None) or "none"


def ranges(law: Law) -> dict[str, Interval]:
    """Return what the fitted runs span, by words; without an upper end where only one is stated."""
    held: Any = getattr(law, "range", {})
    ends = held if isinstance(held, dict) else held.model_dump()
    return {
        name.replace("_", " "): end if isinstance(end, tuple) else (end, np.inf)
        for name, end in ends.items()
    }


def relative(
    law: Law, arch: Architectures, baseline: Architectures, draws: int = DRAWS, seed: int = 0
) -> Relative:
    """Compare N candidates with a baseline of one inside one law.

    The sd joins what the draws of the coefficients say of the difference, where the law has them;
    the error of a difference (`sd`, or two residuals of a run where only they are known); and those
    of the penalties, which cancel where both sides have the same.
    Raises SpecError as `predict` does, and for a baseline that is not one model.
    """
    if len(baseline) != 1:
        raise SpecError(f"the baseline is one model, read {len(baseline)}")
    ours, theirs = predict(law, arch), predict(law, baseline)
    both = ours.in_range & theirs.in_range
    # The same weights are the same run: they differ by what formats add, and by no other error.
    twin = np.all(
        [
            np.broadcast_to(getattr(arch, name) == getattr(baseline, name), (len(arch),))
            for name in columns()
            if name not in FORMAT_COLUMNS
        ],
        axis=0,
    )
    spread = np.where(twin, 0.0, _spread(law, arch, baseline, draws, seed))
    if not law.in_nats:
        return Relative(law, ours.loss / theirs.loss, spread, both)
    each = penalty(arch, law.covers), penalty(baseline, law.covers)
    same = each[0].nats == each[1].nats
    formats = np.where(same, 0.0, np.hypot(each[0].sd, each[1].sd))
    return Relative(law, ours.loss - theirs.loss, np.hypot(spread, formats), both)


def _spread(law: Law, arch: Architectures, baseline: Architectures, draws: int, seed: int) -> Array:
    """Sd of a law's difference (or ratio) to the baseline, penalties apart, (N,)."""
    known = law.uncertainty
    if known is None:
        return np.full(len(arch), np.nan if law.sd is None else law.sd)
    drawn = law.draws(draws, seed)
    beside = drawn.loss(baseline)
    found = np.empty(len(arch))
    step = max(1, 2**20 // draws)
    for i in range(0, len(arch), step):
        losses = drawn.loss(arch[i : i + step])
        found[i : i + step] = np.std(losses - beside if law.in_nats else losses / beside, axis=0)
    runs = law.sd
    if runs is None:
        runs = np.sqrt(2) * known.residual * (law.loss(baseline) if law.in_nats else 1.0)
    return np.hypot(found, runs)


def _noise(draws: int, seed: int) -> Array:
    """Standard normal numbers of single runs and of penalties, (2, draws, 1)."""
    # apart from the generator of the coefficients, which starts from the same seed
    return np.random.default_rng([seed, 1]).standard_normal((2, draws, 1))


def _limits(law: Law, arch: Architectures) -> Iterator[Limit]:
    yield from law.limits(arch)
    yield from limits(arch, law.covers)
    if not law.in_nats:
        added = penalty(arch, law.covers)
        told = "number formats or sparsity change the loss by {} nats, which a ratio cannot take"
        yield Limit(added.nats != 0, told, added.nats)


def _chunk(law: Law, arch: Architectures) -> Loss:
    added = penalty(arch, law.covers)
    allowed = inside(_limits(law, arch), len(arch))
    if not law.in_nats:
        added = Penalty(np.zeros(1), np.zeros(1))
    error = np.nan if law.sd is None else law.sd
    arrays = (law.loss(arch) + added.nats, allowed, added.nats, np.hypot(error, added.sd))
    return Loss(law, *(np.broadcast_to(a, _shape(arch, a)) for a in arrays))


def _shape(arch: Architectures, column: Array) -> tuple[int, ...]:
    """One cell a candidate; what was looked up over a whole grid keeps the grid's axes."""
    return np.broadcast_shapes((len(arch),), np.shape(column))
