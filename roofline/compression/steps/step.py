"""What every step of a recipe is: a validated value that knows its effect on a model."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Self

from roofline.compression.subject import Effect, Subject
from spec_files import SpecError
from spec_files.model import Spec


class Step(Spec):
    """A step; subclasses are one file each."""

    word: ClassVar[str]
    """What a recipe calls it."""
    example: ClassVar[str]

    @classmethod
    @abstractmethod
    def fields_of(cls, words: list[str]) -> dict[str, Any]:
        """Return the fields that the words after the step's own stand for, unchecked."""

    @abstractmethod
    def effect(self, subject: Subject) -> Effect:
        """Return what the step does to a model; SpecError where it cannot be done to it."""

    @abstractmethod
    def __str__(self) -> str:
        """Write the step as `--recipe` reads it."""

    @classmethod
    def parse(cls, words: list[str]) -> Self:
        """Read the words of a step; SpecError says what is wrong with them."""
        from spec_files import validate_spec

        fields = cls.fields_of(words)
        text = ":".join([cls.word, *words])
        return validate_spec(fields, cls, f"step {text!r}")

    @classmethod
    def too_many(cls, words: list[str], most: int) -> None:
        """Refuse more words than a step has fields."""
        if len(words) > most:
            raise SpecError(
                f"step {':'.join([cls.word, *words])!r} says too much; write e.g. {cls.example!r}"
            )


def count(text: str, what: str) -> float:
    """Read a positive count of tokens: 1.2M, 4B, 1e9."""
    scale = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}.get(text[-1:].lower(), 1.0)
    try:
        found = float(text[:-1] if scale != 1.0 else text) * scale
    except ValueError:
        found = -1.0
    if not 0 < found < 1e18:
        raise SpecError(f"{what}: read {text!r}; write a positive count such as 1.2M or 4B")
    return found


def counted(value: float) -> str:
    """Write a count as `count` reads it."""
    for scale, suffix in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= scale:
            return f"{value / scale:.6g}{suffix}"
    return f"{value:.6g}"
