"""Speculative decoding: a draft proposes tokens, the model verifies them in one pass.

A round is k draft steps and one verification pass of k + 1 tokens a sequence; with acceptance a it
adds (1 - a^(k+1)) / (1 - a) tokens in expectation (Leviathan et al., arXiv 2211.17192). Sequences
of a batch are taken to advance alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from arch_space.tensors import parameter_count, weight_bytes
from arch_space.tensors import tensors as weight_tensors
from roofline.engine.memory import activation_peak, cache_bytes
from roofline.engine.phases import Phase, reading, writing
from roofline.workload import Pass
from spec_files import SpecError

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from roofline.engine.bench import Bench
    from roofline.workload import Workload

Array = np.ndarray

PADDING = 128
"""By how many entries the vocabularies of a draft and its model may differ, which the padding of
embeddings makes: as llama.cpp (common/speculative.cpp, 2025) allows."""


@dataclass(frozen=True, eq=False)
class Draft:
    """The draft of N candidates: a model in their number formats, or a share of each.

    arch: None where the draft is a share of the model, in time, energy and memory. serves: (N,)
    whether the draft is smaller than its model and speaks its vocabulary; where not, times are not
    known (NaN).
    """

    arch: Architectures | None
    share: float
    serves: Array

    @classmethod
    def of(cls, arch: Architectures, workload: Workload) -> Draft | None:
        """Return the draft of a workload for these candidates; None where it has none."""
        if isinstance(workload.draft, (int, float)):
            return cls(None, float(workload.draft), np.ones(1, dtype=bool))
        given = workload.draft_model
        if given is None:
            return None
        smaller = parameter_count(given)[0] < parameter_count(arch)
        serves = smaller & (np.abs(arch.vocabulary - given.vocabulary[0]) <= PADDING)
        formats = {
            f"{part}_format": getattr(arch, f"{part}_format")
            for part in ("weight", "embedding", "kv", "activation")
        }
        return cls(replace(given, names=(), **formats).as_float(), 1.0, serves)

    @staticmethod
    def check(arch: Architectures, workload: Workload) -> None:
        """Raise SpecError where the draft cannot serve a single model: it says why."""
        given = workload.draft_model
        if given is None:
            return
        name, model = given.names[0], arch.names[0] if arch.names else "the model"
        entries, own = int(given.vocabulary[0]), int(arch.vocabulary[0])
        if abs(entries - own) > PADDING:
            raise SpecError(
                f"draft {name} has a vocabulary of {entries:,} and {model} one of {own:,}: a draft "
                "must speak the model's own"
            )
        size, whole = (int(parameter_count(each)[0]) for each in (given, arch))
        if size >= whole:
            raise SpecError(
                f"draft {name} has {size:,} parameters and {model} {whole:,}: a draft must be "
                "smaller than what verifies it"
            )

    def phase(self, name: str, bench: Bench, workload: Workload) -> Phase:
        """Return what the draft adds to a phase: it reads the prompt, too, and drafts each round.

        The k steps of a round are priced at the mean of their contexts.
        """
        if name == "prefill":
            return self._known(reading(bench, workload).as_draft(self.share))
        k = workload.draft_length
        keys = workload.prompt + (k + 1) / 2
        step = Pass(workload.batch, 1, keys, workload.mask, "last", workload.attention)
        phase = writing(bench, step, workload.rounds, workload.expected_tokens)
        return self._known(phase.as_draft(k * self.share))

    def _known(self, phase: Phase) -> Phase:
        if self.serves.all():
            return phase
        unknown = ("seconds", "joules", "first", "last")
        times: dict[str, Any] = {
            name: np.where(self.serves, getattr(phase, name), np.nan) for name in unknown
        }
        return replace(phase, **times)

    def memory(self, workload: Workload, stored: Array, cache: Array) -> tuple[Array, Array, Array]:
        """Return bytes of weights, of cache and of activations of the draft, (N,) each.

        stored, cache: the model's own, for a draft that is a share of it.
        """
        if self.arch is None:
            return self.weights(stored), self.share * cache, np.zeros(1)
        peak = activation_peak(self.arch, workload.largest_pass())
        return self.weights(stored), cache_bytes(self.arch, workload), peak

    def weights(self, stored: Array) -> Array:
        """Return bytes of the draft's weights, (N,); stored: those of the model."""
        return self.share * stored if self.arch is None else weight_bytes(self.arch)

    def copied(self, model: Array) -> Array:
        """Return bytes of the draft that a second software stores again, (N,); model: the model's.

        An embedding that is no head as well is looked up wherever it lies.
        """
        if self.arch is None:
            return self.share * model
        table = weight_tensors(self.arch)["embedding"].stored_bytes
        return weight_bytes(self.arch) - np.where(self.arch.tied_embedding, 0.0, table)
