"""LitGPT: the model as `litgpt.Config` reads it, and a run for `litgpt pretrain --config`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from roofline.export.shape import beyond, decisive

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from roofline.export.stacks import Training

TITLE = "LitGPT"
VERSION = "0.5.13"
_SAID = {
    "gated", "tied_embedding", "qkv_bias", "qk_norm", "experts", "experts_per_token",
    "expert_width", "shared_experts", "dense_layers", "window", "window_share",
}  # fmt: skip


def refusal(arch: Architectures) -> str:
    """Say what `litgpt.Config` has no field for."""
    row = decisive(arch)
    if row["experts"] > 1 and not row["gated"]:
        return "experts of two matrices"
    return beyond(row, _SAID)


def model(arch: Architectures, run: Training) -> dict[str, Any]:
    """Return the fields of `litgpt.Config`."""
    row = decisive(arch)
    moe = row["experts"] > 1
    fields: dict[str, Any] = {
        "name": run.name,
        "hf_config": {},
        "block_size": run.sequence,
        "n_layer": row["layers"],
        "n_embd": row["width"],
        "vocab_size": row["vocabulary"],
        "padded_vocab_size": row["vocabulary"],
        "n_head": row["query_heads"],
        "n_query_groups": row["kv_heads"],
        "head_size": row["head_size"],
        "rotary_percentage": 1.0,
        "parallel_residual": False,
        "bias": False,
        "attn_bias": bool(row["qkv_bias"]),
        "norm_class_name": "RMSNorm",
        "norm_qk": row["qk_norm"] != "none",
        "norm_qk_type": "olmo2" if row["qk_norm"] == "projection" else "default",
        "intermediate_size": row["ffn_width"] or row["expert_width"],
        "mlp_class_name": "LLaMAMoE" if moe else "LLaMAMLP" if row["gated"] else "GptNeoxMLP",
    }
    if moe:
        fields |= {
            "moe_intermediate_size": row["expert_width"],
            "n_expert": row["experts"],
            "n_expert_per_token": row["experts_per_token"],
        }
        if row["shared_experts"]:
            fields["n_shared_expert"] = row["shared_experts"]
        if row["dense_layers"]:
            fields["first_k_dense_replace"] = row["dense_layers"]
    if row["window"]:
        sliding = round(row["window_share"] * row["layers"])
        fields["sliding_window_size"] = row["window"]
        fields["sliding_window_indices"] = [
            int(layer >= row["layers"] - sliding) for layer in range(row["layers"])
        ]
    return fields


def caution(arch: Architectures) -> str:
    """Say that a router of one expert a token does not learn from the loss."""
    from roofline.export.stacks import renormalised

    return renormalised(arch, "LitGPT's LLaMAMoE")


def files(arch: Architectures, run: Training) -> dict[str, str]:
    """Return model_config.yaml for `Config.from_file`, and pretrain.yaml for the command line."""
    said = model(arch, run)
    batch = run.each * run.gpus
    pretrain = {
        "model_name": run.name,
        "model_config": said,
        "out_dir": f"out/{run.name}",
        "precision": "bf16-mixed",
        "train": {
            "global_batch_size": batch,
            "micro_batch_size": 1,
            "lr_warmup_steps": run.warmup,
            "max_tokens": run.tokens,
            "max_seq_length": run.sequence,
            "max_norm": 1.0,
            "min_lr": run.final_rate,
            "tie_embeddings": bool(decisive(arch)["tied_embedding"]),
        },
        "optimizer": {
            "class_path": "torch.optim.AdamW",
            "init_args": {"lr": run.learning_rate, "weight_decay": 0.1, "betas": [0.9, 0.95]},
        },
        "devices": run.node,
        "num_nodes": run.nodes,
    }
    return {
        "model_config.yaml": yaml.safe_dump(said, sort_keys=False),
        "pretrain.yaml": yaml.safe_dump(pretrain, sort_keys=False),
    }
