"""Quantise the weights of the layers, by a method in bits and groups or to a type of llama.cpp."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import field_validator, model_validator

from arch_space.formats import FORMATS, default_embedding_format, format_code
from roofline.compression.calibration import flops
from roofline.compression.steps.step import Step
from roofline.compression.subject import Effect, Subject
from roofline.degradation import gguf, methods
from spec_files import SpecError, did_you_mean

GGUF = "gguf"
_NAMES = {f.name for f in FORMATS}
GROUPS = (32, 64, 128, 256)
_UNMEASURED = (
    "time in 2 and 3 bits goes by bytes: few such kernels were measured, and MLC's on an A100 ran "
    "at .62 of the 4-bit tokens (arXiv 2308.13137)"
)


class Quantise(Step):
    """Weights in fewer bits; embedding and head stay at 16 but in the types of llama.cpp."""

    word: ClassVar[str] = "quantise"
    example: ClassVar[str] = "gptq:4:g128"

    method: str
    """rtn, gptq, awq, omniquant, efficientqat or gguf."""
    bits: int | None = None
    """Of a weight; none for `gguf`, whose types say it."""
    group: int = 0
    """Weights that share a scale; 0 for a whole output channel."""
    type: str | None = None
    """Of llama.cpp, for the method `gguf`."""
    imatrix: bool = False
    """Whether a type of llama.cpp is made with an importance matrix."""

    @field_validator("method", "type")
    @classmethod
    def _lower(cls, name: str | None) -> str | None:
        return name if name is None else name.lower()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.method == GGUF:
            known = gguf.types(self.imatrix)
            if self.type is None:
                raise SpecError("gguf needs a type, as in gguf:q4_k_m", ("type",))
            if self.type not in known:
                hint = did_you_mean(self.type, known)
                raise SpecError(f"llama.cpp publishes no loss of type {self.type!r}{hint}")
            if self.imatrix and not known[self.type].imatrix:
                raise SpecError(f"{self.type} was not measured with an importance matrix")
            if self.bits is not None or self.group:
                raise SpecError(f"gguf:{self.type} has its own bits and groups: leave them out")
            return self
        known_methods = (*methods.METHODS, GGUF)
        if self.method not in known_methods:
            hint = did_you_mean(self.method, known_methods)
            raise SpecError(f"unknown method of quantisation {self.method!r}{hint}")
        if self.type is not None or self.imatrix:
            raise SpecError(f"{self.method} takes bits and a group; types are of method gguf")
        allowed = methods.BITS[self.method]
        if self.bits is None:
            raise SpecError(f"{self.method} needs its bits, as in {self.method}:4:g128")
        if self.bits not in allowed:
            words = ", ".join(map(str, allowed))
            near = min(allowed, key=lambda each: (abs(each - (self.bits or 0)), each))
            ruin = self.bits == 2
            more = (
                "its models are ruins there; nearest is omniquant:2:g128"
                if ruin
                else f"nearest is {self.method}:{near}"
            )
            raise SpecError(
                f"{self.method} at {self.bits} bits has no published table ({words} have); {more}"
            )
        if self.group and self.group not in GROUPS:
            nearest = min(GROUPS, key=lambda each: abs(each - self.group))
            raise SpecError(
                f"groups of {self.group} have no number format ({', '.join(map(str, GROUPS))} "
                f"have); nearest is g{nearest}"
            )
        if not self.group and self.method == "efficientqat":
            raise SpecError(
                "efficientqat was measured in groups only; nearest is efficientqat:"
                f"{self.bits}:g128"
            )
        if self.format not in _NAMES:
            near_format = f"{self.method}:{self.bits}:g128"
            raise SpecError(
                f"{self.bits} bits in groups of {self.group or 'a channel'} have no number format; "
                f"nearest is {near_format}"
            )
        return self

    @property
    def format(self) -> str:
        """The number format that the weights end up in."""
        if self.type is not None:
            return self.type
        if self.bits == 8 and not self.group:
            return "int8"
        return f"int{self.bits}-{f'g{self.group}' if self.group else 'channel'}"

    @classmethod
    def fields_of(cls, words: list[str]) -> dict[str, Any]:
        """`METHOD:BITS[:gGROUP]` or `gguf:TYPE[:imatrix]`."""
        cls.too_many(words, 3)
        found: dict[str, Any] = dict(zip(("method",), words, strict=False))
        rest = words[1:]
        if found.get("method", "").lower() == GGUF:
            found |= dict(zip(("type",), rest, strict=False))
            if rest[1:]:
                if rest[1].lower() != "imatrix":
                    raise SpecError(
                        f"read {rest[1]!r} behind a type; only 'imatrix' may stand there"
                    )
                found["imatrix"] = True
            return found
        if rest:
            if not re.fullmatch(r"\d{1,3}", rest[0]):
                raise SpecError(f"read {rest[0]!r} where bits belong, as in {cls.example}")
            found["bits"] = int(rest[0])
        if rest[1:]:
            group = re.fullmatch(r"g(\d{1,6})|(channel)", rest[1].lower())
            if group is None:
                raise SpecError(
                    f"read {rest[1]!r} where a group belongs: g128, g64, ... or channel"
                )
            if group[1] is not None and not int(group[1]):
                raise SpecError("a group of 0 weights; write channel for one scale a channel")
            found["group"] = int(group[1] or 0)
        return found

    def effect(self, subject: Subject) -> Effect:
        """Return the format and what the method costs; SpecError where a group does not divide."""
        code = format_code(self.format)
        columns = {
            "weight_format": code,
            "embedding_format": format_code(default_embedding_format(self.format)),
        }
        if self.type is not None:
            change = gguf.gguf(self.type, subject.parameters, subject.tokens, self.imatrix)
            cost = flops("imatrix", subject) if self.imatrix else 0.0
            return Effect(columns, change.nats, change.low, change.high, cost, change.notes)
        assert self.bits is not None
        self._divides(subject)
        change = methods.quantised(
            self.method, self.bits, self.group, subject.parameters, subject.tokens
        )
        cost = flops(self.method, subject)
        notes = change.notes + ((_UNMEASURED,) if self.bits in (2, 3) else ())
        return Effect(columns, change.nats, change.low, change.high, cost, notes)

    def _divides(self, subject: Subject) -> None:
        """Refuse a group that leaves a rest in a row of some matrix."""
        if not self.group:
            return
        for name, tensor in subject.matrices.items():
            row = float(tensor.inputs[0])
            if row % self.group:
                fitting = [
                    g
                    for g in GROUPS
                    if not np.any([float(t.inputs[0]) % g for t in subject.matrices.values()])
                ]
                near = (
                    f"g{min(fitting, key=lambda g: abs(g - self.group))}" if fitting else "channel"
                )
                raise SpecError(
                    f"{self}: groups of {self.group} do not divide the {row:.0f} inputs of the "
                    f"{name.replace('_', ' ')} matrix of {subject.arch.names[0]}; nearest is {near}"
                )

    def __str__(self) -> str:
        if self.type is not None:
            return f"gguf:{self.type}" + (":imatrix" if self.imatrix else "")
        return f"{self.method}:{self.bits}:{f'g{self.group}' if self.group else 'channel'}"
