"""Train low-rank adapters and merge them: nothing of the model's shape changes.

Behind a distillation it says that the adapters are what is trained. Alone, it is a fine-tuning on
tokens of its own.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, field_validator

from roofline.compression.steps.step import Step, count, counted
from roofline.compression.subject import Effect, Subject
from spec_files import SpecError

RANK = 16
TOKENS = 1.2e6
"""Eight tasks of about 600 questions with answers (arXiv 2601.09865) at 250 tokens each, which is
an assumption: the paper does not print the tokens."""


class Lora(Step):
    """Adapters of a rank beside every matrix of the layers."""

    word: ClassVar[str] = "lora"
    example: ClassVar[str] = "lora:16"

    rank: int = Field(default=RANK, ge=1)
    """Of each adapter."""
    tokens: float = TOKENS
    """Tokens that the adapters are trained on."""

    @field_validator("tokens", mode="before")
    @classmethod
    def _tokens(cls, given: object) -> float:
        return count(str(given), "tokens")

    @classmethod
    def fields_of(cls, words: list[str]) -> dict[str, Any]:
        """`lora[:RANK[:TOKENS]]`."""
        cls.too_many(words, 2)
        found: dict[str, Any] = dict(zip(("rank", "tokens"), words, strict=False))
        if "rank" in found:
            if not found["rank"].isdecimal():
                raise SpecError(f"read {found['rank']!r} where a rank belongs, as in lora:16")
            found["rank"] = int(found["rank"])
        return found

    def effect(self, subject: Subject) -> Effect:
        """Return no change: merged adapters leave the model as large and as fast as it was."""
        smallest = min(
            min(float(t.inputs[0]), float(t.outputs[0])) for t in subject.matrices.values()
        )
        if self.rank >= smallest:
            raise SpecError(
                f"lora:{self.rank}: a rank of {self.rank} is not below the smallest side of a "
                f"matrix of {subject.arch.names[0]}, {smallest:.0f}"
            )
        return Effect()

    def __str__(self) -> str:
        words = ["lora"]
        if (self.rank, self.tokens) != (RANK, TOKENS):
            words.append(str(self.rank))
        if self.tokens != TOKENS:
            words.append(counted(self.tokens))
        return ":".join(words)
