"""How good a verifier is, in one number, and what it is.

Scores of right answers are N(d, 1), of wrong ones N(0, 1), and each sample's score is drawn on its
own (the binormal model of signal detection). Its quality is the area under the ROC curve, the
probability that a right answer scores higher than a wrong one: AUC = Phi(d / sqrt(2)). One half is
a coin; one finds a right answer wherever there is one.
"""

from __future__ import annotations

from pathlib import Path
from statistics import NormalDist

import numpy as np
from pydantic import Field

from spec_files import find_spec, read_yaml, validate_spec
from spec_files.model import Spec

Array = np.ndarray

FOLDER = Path(__file__).parent / "verifiers"
PERFECT = 40.0
"""Distance of the scores' means that stands for a quality of one; no float tells them apart."""


class Verifier(Spec):
    """A reward model or other judge of answers, by how well its scores tell right from wrong."""

    quality: float = Field(ge=0.5, le=1.0)
    """Area under the ROC curve, .5 to 1: how often a right answer scores higher than a wrong one
    to the same question."""
    shared: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of a score's variance that all samples of one answer have in common: what a verifier
    gets wrong about an answer itself, which more samples do not average away."""
    name: str = ""
    """What commands and tables call it; the file's name where not given."""
    title: str = ""
    """In words."""
    model: str | None = None
    """Shipped model, or file of one, whose passes it takes; none for a judge that is no model and
    whose work is not costed, as unit tests."""
    stepwise: bool = True
    """Whether it scores unfinished answers, as a process reward model does."""
    tasks: tuple[str, ...] = ()
    """Tasks that it judges; none for all."""
    source: str = ""
    """Where its quality was published."""
    date: str = ""
    """Of the source."""

    @property
    def distance(self) -> float:
        """Distance d between the means of right and wrong scores, in standard deviations."""
        if self.quality >= 1.0:
            return PERFECT
        return min(PERFECT, 2**0.5 * NormalDist().inv_cdf(self.quality))

    def weight(self, score: Array) -> Array:
        """Probability, of the shape of score, of being right where both are equally likely.

        What a reward model trained on right and wrong answers reports, and what weighted
        best-of-N adds up (arXiv 2408.03314).
        """
        from scipy.special import expit

        d = self.distance
        return expit(d * np.asarray(score) - d * d / 2)


def verifier_names() -> list[str]:
    """Return the names of the shipped verifiers, in alphabetical order."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def load_verifier(name: str | Path) -> Verifier:
    """Return a verifier by its shipped name, or from the YAML file that a path leads to.

    Raises SpecError for an unknown name (with the nearest) or field.
    """
    path = find_spec(name, FOLDER, "verifier")
    data, lines = read_yaml(path)
    if isinstance(data, dict):
        data = {"name": path.stem} | data
    return validate_spec(data, Verifier, str(path), lines)
