"""Prune weights in one shot, without retraining: Wanda, SparseGPT, magnitude."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import field_validator

from roofline.compression.calibration import flops
from roofline.compression.steps.step import Step
from roofline.compression.subject import Effect, Subject
from roofline.degradation import pruning
from spec_files import SpecError, did_you_mean

_KERNELS = (
    "bytes and times take half of the weights and a bit mask to be all that is stored and read; no "
    "runtime was measured to do so"
)


class Prune(Step):
    """Zero half of the weights of the layers' matrices, in a pattern."""

    word: ClassVar[str] = "prune"
    example: ClassVar[str] = "prune:wanda:2:4"

    method: str
    """wanda, sparsegpt or magnitude."""
    pattern: str
    """2:4, 4:8, or 0.5 for zeros anywhere."""

    @field_validator("method")
    @classmethod
    def _method(cls, name: str) -> str:
        if name.lower() not in pruning.METHODS:
            raise SpecError(
                f"unknown method of pruning {name!r}{did_you_mean(name, pruning.METHODS)}"
            )
        return name.lower()

    @field_validator("pattern", mode="before")
    @classmethod
    def _pattern(cls, given: object) -> str:
        text = {"50%": "0.5", ".5": "0.5"}.get(str(given), str(given))
        if text not in pruning.PATTERNS:
            raise SpecError(
                f"no published loss of the pattern {text!r}; known: {', '.join(pruning.PATTERNS)}"
            )
        return text

    @classmethod
    def fields_of(cls, words: list[str]) -> dict[str, Any]:
        """`prune:METHOD:PATTERN`; a pattern such as 2:4 has a colon of its own."""
        cls.too_many(words, 3)
        found = dict(zip(("method",), words, strict=False))
        return found | ({"pattern": ":".join(words[1:])} if words[1:] else {})

    def effect(self, subject: Subject) -> Effect:
        """Return half of the weights gone, and what the published table says that costs."""
        change = pruning.pruned(self.method, self.pattern, subject.parameters)
        columns = {"weight_sparsity": 0.5, "two_four": self.pattern == "2:4"}
        notes = (*change.notes, _KERNELS)
        return Effect(
            columns, change.nats, change.low, change.high, flops(self.method, subject), notes
        )

    def __str__(self) -> str:
        return f"prune:{self.method}:{self.pattern}"
