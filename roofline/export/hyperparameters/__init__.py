"""Batch size and learning rate from published laws: one YAML file each."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from roofline.export.compute import deepseek_compute
from roofline.laws.variables import VARIABLES, variable
from spec_files import Spec, SpecError, read_spec

if TYPE_CHECKING:
    from arch_space.architectures import Architectures

FOLDER = Path(__file__).parent
_OWN = "deepseek_compute"


class HyperLaw(Spec):
    """A power law of learning rate and batch size: coefficient x product of variable ^ exponent."""

    title: str
    source: str
    date: str
    data: str
    variables: dict[str, str]
    """Its letters, each a variable of loss laws or `deepseek_compute`."""
    means: dict[str, str]
    learning_rate: dict[str, float]
    batch_tokens: dict[str, float]
    """Tokens of an optimiser step."""
    final_rate: float | None = Field(default=None, gt=0)
    """Learning rate at the end of the schedule; a tenth of the peak where not stated."""
    range: dict[str, tuple[float, float]]
    """What its runs span, by letter."""
    dense_only: bool = False

    @model_validator(mode="after")
    def _check(self) -> HyperLaw:
        for letter, name in self.variables.items():
            if name not in (*VARIABLES, _OWN):
                raise SpecError(f"variables: {letter}: unknown variable {name!r}")
        for power in (self.learning_rate, self.batch_tokens):
            if strange := set(power) - {"coefficient", *self.variables}:
                raise SpecError(f"unknown letter {min(strange)!r}")
        return self

    def advise(self, arch: Architectures, tokens: float, sequence: int) -> Advice:
        """Return what the law says of one candidate's run."""
        values = {
            letter: float(
                deepseek_compute(arch, tokens, sequence)[0]
                if name == _OWN
                else variable(name, arch, tokens)[0]
            )
            for letter, name in self.variables.items()
        }
        beyond = [
            f"{letter} {values[letter]:.3g} lies {'below' if values[letter] < low else 'above'} "
            f"the {low:.3g} to {high:.3g} of its runs"
            for letter, (low, high) in self.range.items()
            if not low <= values[letter] <= high
        ]
        if self.dense_only and arch.experts[0] > 1:
            beyond.append("its runs are dense models, this is a mixture of experts")
        rate = _power(self.learning_rate, values)
        return Advice(
            law=self.title,
            source=self.source,
            learning_rate=rate,
            final_rate=min(self.final_rate or rate / 10, rate),
            batch_tokens=_power(self.batch_tokens, values),
            extrapolation="; ".join(beyond),
            meaning="; ".join(f"{k} = {values[k]:.4g}: {v}" for k, v in self.means.items()),
        )


class Advice(Spec):
    """A learning rate and a batch size, and where they come from."""

    law: str
    source: str
    learning_rate: float
    final_rate: float
    batch_tokens: float
    extrapolation: str
    """What puts the run beyond the law's data; '' where nothing does."""
    meaning: str


def _power(law: dict[str, float], values: dict[str, float]) -> float:
    found = law["coefficient"]
    for letter, exponent in law.items():
        if letter != "coefficient":
            found *= values[letter] ** exponent
    return found


@cache
def hyper_laws() -> dict[str, HyperLaw]:
    """Return the laws by name; the first is the one that configurations are written by."""
    order = sorted(FOLDER.glob("*.yaml"), key=lambda file: (file.stem != "step-law", file.stem))
    return {file.stem: read_spec(file, HyperLaw) for file in order}
