"""transformers: a config.json, in the first model type that says the candidate exactly."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from arch_space.huggingface import families_of, to_huggingface
from spec_files import SpecError

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from roofline.export.stacks import Training

TITLE = "Hugging Face transformers"
VERSION = "5.23"


def refusal(arch: Architectures) -> str:
    """Say what no model type of transformers can say."""
    if families_of(arch):
        return ""
    try:
        to_huggingface(arch, "mixtral" if arch.experts[0] > 1 else "llama")
    except SpecError as refused:
        return f"it in any model type ({str(refused).split('; no known')[0]})"
    return ""


def caution(arch: Architectures) -> str:
    """Say that Mixtral's router of one expert a token does not learn from the loss."""
    from roofline.export.stacks import renormalised

    return renormalised(arch, "Mixtral's code") if families_of(arch)[0] == "mixtral" else ""


def files(arch: Architectures, run: Training) -> dict[str, str]:
    """Return config.json, which `AutoModelForCausalLM.from_config` builds."""
    config = to_huggingface(arch, families_of(arch)[0])
    config["max_position_embeddings"] = run.sequence
    return {"config.json": json.dumps(config, indent=2) + "\n"}
