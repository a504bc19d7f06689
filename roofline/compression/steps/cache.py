"""Quantise the KV cache.

No table tells what a cache in few bits costs a model that was trained at 16. What is charged is the
precision law's difference (arXiv 2411.04330), which holds for models trained in those bits and of
up to 220M parameters: its order of magnitude, at most a cache's price after training.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import field_validator

from arch_space.formats import CACHE_FORMATS, FORMATS, format_code
from roofline.compression.steps.step import Step
from roofline.compression.subject import Effect, Subject


class Cache(Step):
    """The KV cache in a number format."""

    word: ClassVar[str] = "kv"
    example: ClassVar[str] = "kv:int8"

    format: str
    """Number format of keys and values."""

    @field_validator("format")
    @classmethod
    def _known(cls, name: str) -> str:
        format_code(name, CACHE_FORMATS)
        return name.lower()

    @classmethod
    def fields_of(cls, words: list[str]) -> dict[str, Any]:
        """`kv:FORMAT`."""
        cls.too_many(words, 1)
        return dict(zip(("format",), words, strict=False))

    def effect(self, subject: Subject) -> Effect:
        """Return the format of the cache and the precision law's difference."""
        code = format_code(self.format, CACHE_FORMATS)
        columns = {"kv_format": code}
        bits = FORMATS[code].value_bits
        if bits >= 16:
            return Effect(columns)
        from roofline.laws import load_law

        law = load_law("precision")
        size = subject.matrix_parameters
        nats = float(law.at(size, law.tokens, 16, 16, bits) - law.at(size, law.tokens, 16, 16, 16))
        return Effect(
            columns,
            nats,
            0.0,
            2 * nats,
            notes=(f"cache in {self.format}: order of magnitude, by the precision law",),
        )

    def __str__(self) -> str:
        return f"kv:{self.format}"
