"""The workload of a sweep, as a sweep file holds it."""

from __future__ import annotations

from typing import Any, Self

from pydantic import model_validator

from arch_space.library import ReferenceModel, load_model, reference_model, shipped_models
from roofline.workload import Workload
from spec_files import Spec, validate_spec


class WorkloadSpec(Spec):
    """The fields of a `Workload`; a draft that is no shipped model is held whole."""

    batch: int = Workload.batch
    """Sequences at once."""
    prompt: int = Workload.prompt
    """Tokens of each prompt."""
    generate: int = Workload.generate
    """Decode steps, each one token a sequence."""
    mask: str = Workload.mask
    """`causal` computes half the square of prefill attention; `full` all of it."""
    logits: str = Workload.logits
    """Of the `last` prompt token, or of `all`."""
    attention: str = Workload.attention
    """`fused` keeps scores on chip; `unfused` writes them to memory."""
    cached: int = Workload.cached
    """Tokens of the prompt whose cache is kept from before."""
    prefill_chunk: int = Workload.prefill_chunk
    """Tokens a piece of the prefill; 0 for all at once."""
    draft: float | str | ReferenceModel | None = None
    """What drafts tokens: a model, or its cost as a share of the model's."""
    acceptance: float | None = None
    """Probability that a drafted token is accepted."""
    draft_length: int = Workload.draft_length
    """Tokens drafted in each round."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.workload()
        return self

    def workload(self) -> Workload:
        """Return the workload that the engine takes."""
        return Workload(**{name: getattr(self, name) for name in type(self).model_fields})


def held_whole(workload: Any) -> Any:
    """Return the fields of a workload with a draft of the user's files in place of its path."""
    draft = workload.get("draft") if isinstance(workload, dict) else None
    if not isinstance(draft, str) or draft in shipped_models():
        return workload
    return workload | {"draft": model_file(draft)}


def model_file(name_or_path: Any) -> ReferenceModel:
    """Return a reference model, or a model file made of a config.json."""
    if str(name_or_path) in shipped_models():
        return reference_model(name_or_path)
    arch = load_model(name_or_path)
    return validate_spec(
        {"name": arch.names[0], "architecture": arch.row()}, ReferenceModel, str(name_or_path)
    )
