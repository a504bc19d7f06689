"""Training stacks: one module each, found by its name.

A module has TITLE, VERSION (of the stack that its files were read by), `refusal(arch)`, which says
what the stack cannot say of a candidate ('' where it says all), and `files(arch, run)`, the text of
each file by name. It may have `caution(arch)`, what a team must know before it trains from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from spec_files import SpecError, did_you_mean

if TYPE_CHECKING:
    from arch_space.architectures import Architectures


@dataclass(frozen=True)
class Training:
    """What a configuration says of a run beside its model.

    sequence: tokens of one; batch: sequences of an optimiser step; steps: optimiser steps; gpus:
    data-parallel ranks; warmup: steps; learning_rate, final_rate: at the peak and at the end.
    """

    name: str
    sequence: int
    batch: int
    steps: int
    gpus: int
    learning_rate: float
    final_rate: float
    warmup: int

    @property
    def tokens(self) -> int:
        """Tokens of all steps."""
        return self.sequence * self.batch * self.steps

    @property
    def node(self) -> int:
        """Devices of one computer: at most eight, alike on all."""
        return max(n for n in range(1, 9) if self.gpus % n == 0)

    @property
    def nodes(self) -> int:
        """Computers."""
        return self.gpus // self.node

    @property
    def each(self) -> int:
        """Sequences of a step that one rank reads; at least one."""
        return max(1, self.batch // self.gpus)


@cache
def stacks() -> dict[str, Any]:
    """Return the module of every stack, by name."""
    return {
        module.name: import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)
    }


def stack(name: str) -> Any:
    """Return the module of a stack; SpecError with the nearest for a name that is none."""
    known = stacks()
    if name not in known:
        raise SpecError(f"--to: unknown stack {name!r}{did_you_mean(name, known)}")
    return known[name]


def caution(name: str, arch: Architectures) -> str:
    """Return what a team must know before it trains a candidate in a stack; '' where nothing."""
    module = stack(name)
    return str(module.caution(arch)) if hasattr(module, "caution") else ""


def renormalised(arch: Architectures, where: str) -> str:
    """Say why a router of one expert a token does not learn where weights sum to one."""
    row = arch.row()
    if row["experts"] <= 1 or row["experts_per_token"] != 1:
        return ""
    return (
        f"{where} divides the weights of the chosen experts by their sum. With one expert a token "
        "the weight is always 1, so the loss does not teach the router: change the code to weigh "
        "before the choice (softmax first, as megatron and torchtitan are told to), or train there."
    )


def check(name: str, arch: Architectures) -> None:
    """Raise SpecError where a stack cannot say a candidate, naming those that can."""
    why = stack(name).refusal(arch)
    if not why:
        return
    able = [other for other, module in stacks().items() if not module.refusal(arch)]
    hint = f"{', '.join(able)} can" if able else "no stack known here can"
    raise SpecError(f"--to {name}: it cannot say {why}; {hint}")
