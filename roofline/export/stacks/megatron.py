"""Megatron-LM: fields of megatron-core's `TransformerConfig`, and a run of pretrain_gpt.py."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import yaml

from roofline.export.shape import beyond, decisive

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from roofline.export.stacks import Training

TITLE = "Megatron-LM"
VERSION = "core 0.16"
_SAID = {
    "gated", "tied_embedding", "qkv_bias", "experts", "experts_per_token", "expert_width",
    "shared_experts", "dense_layers", "shared_gate",
}  # fmt: skip


def refusal(arch: Architectures) -> str:
    """Say what the arguments of Megatron do not say."""
    row = decisive(arch)
    if row["qk_norm"] == "projection":
        return "norms over all heads of a query together"
    return beyond(row, {*_SAID, "qk_norm"})


def model(arch: Architectures) -> dict[str, Any]:
    """Return the fields of `megatron.core.transformer.TransformerConfig` that plain types say."""
    row = decisive(arch)
    fields: dict[str, Any] = {
        "num_layers": row["layers"],
        "hidden_size": row["width"],
        "ffn_hidden_size": row["ffn_width"] or row["expert_width"],
        "num_attention_heads": row["query_heads"],
        "num_query_groups": row["kv_heads"],
        "kv_channels": row["head_size"],
        "normalization": "RMSNorm",
        "gated_linear_unit": bool(row["gated"]),
        "add_bias_linear": False,
        "add_qkv_bias": bool(row["qkv_bias"]),
        "qk_layernorm": row["qk_norm"] == "head",
        "hidden_dropout": 0.0,
        "attention_dropout": 0.0,
    }
    if row["experts"] > 1:
        fields |= {
            "num_moe_experts": row["experts"],
            "moe_router_topk": row["experts_per_token"],
            "moe_ffn_hidden_size": row["expert_width"],
            "moe_router_load_balancing_type": "aux_loss",
            "moe_aux_loss_coeff": 0.01,
            # After the choice, a softmax over one expert is 1 whatever the router says.
            "moe_router_pre_softmax": row["experts_per_token"] == 1,
        }
        if row["shared_experts"]:
            fields["moe_shared_expert_intermediate_size"] = (
                row["shared_experts"] * row["expert_width"]
            )
            fields["moe_shared_expert_gate"] = bool(row["shared_gate"])
        if row["dense_layers"]:
            fields["moe_layer_freq"] = [
                int(layer >= row["dense_layers"]) for layer in range(row["layers"])
            ]
    return fields


_FLAGS = {
    "gated_linear_unit": "swiglu", "add_qkv_bias": "add-qkv-bias", "qk_layernorm": "qk-layernorm",
    "moe_shared_expert_gate": "moe-shared-expert-gate",
    "moe_router_pre_softmax": "moe-router-pre-softmax",
}  # fmt: skip
_RENAMED = {"num_moe_experts": "num-experts"}


def arguments(arch: Architectures, run: Training) -> list[str]:
    """Return the command-line words of pretrain_gpt.py."""
    row = decisive(arch)
    words = ["--use-mcore-models", "--group-query-attention", "--disable-bias-linear"]
    for name, value in model(arch).items():
        if name in _FLAGS:
            words += [f"--{_FLAGS[name]}"] if value else []
        elif name != "add_bias_linear":
            words += [f"--{_RENAMED.get(name, name).replace('_', '-')}", str(value)]
    if not row["tied_embedding"]:
        words.append("--untie-embeddings-and-output-weights")
    more = {
        "position-embedding-type": "rope", "make-vocab-size-divisible-by": 1,
        "vocab-size": row["vocabulary"], "seq-length": run.sequence,
        "max-position-embeddings": run.sequence, "micro-batch-size": 1,
        "global-batch-size": run.each * run.gpus, "train-iters": run.steps,
        "lr": f"{run.learning_rate:.6g}", "min-lr": f"{run.final_rate:.6g}",
        "lr-decay-style": "cosine", "lr-warmup-iters": run.warmup, "clip-grad": 1.0,
        "weight-decay": 0.1, "adam-beta1": 0.9, "adam-beta2": 0.95,
    }  # fmt: skip
    words += [str(word) for name, value in more.items() for word in (f"--{name}", value)]
    return [*words, "--bf16", "--use-distributed-optimizer"]


def files(arch: Architectures, run: Training) -> dict[str, str]:
    """Return transformer_config.yaml and train.sh, to which the team adds data and tokenizer."""
    words = arguments(arch, run)
    starts = [i for i, word in enumerate(words) if word.startswith("--")]
    lines = [shlex.join(words[a:b]) for a, b in zip(starts, [*starts[1:], len(words)], strict=True)]
    script = (
        "#!/bin/sh\n"
        "# In a checkout of Megatron-LM: sh train.sh --data-path ... --tokenizer-type ...\n"
        f"torchrun --nnodes {run.nodes} --nproc-per-node {run.node} pretrain_gpt.py \\\n  "
        + " \\\n  ".join(lines)
        + ' \\\n  "$@"\n'
    )
    return {
        "transformer_config.yaml": yaml.safe_dump(model(arch), sort_keys=False),
        "train.sh": script,
    }
