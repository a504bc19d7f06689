"""nanotron: one YAML of a run, its model a `LlamaConfig`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from roofline.export.shape import beyond, decisive, ratio

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from roofline.export.stacks import Training

TITLE = "nanotron"
VERSION = "0.4"


def refusal(arch: Architectures) -> str:
    """Say what nanotron's `LlamaConfig` has no field for; its heads fill the width."""
    row = decisive(arch)
    if more := beyond(row, {"tied_embedding"}):
        return more
    size = f"a head of {row['head_size']} where {row['query_heads']} heads do not fill the width"
    return "" if ratio(row) else f"{size} of {row['width']}"


def model(arch: Architectures, run: Training) -> dict[str, Any]:
    """Return the fields of `nanotron.config.LlamaConfig`."""
    row = decisive(arch)
    return {
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_act": "silu",
        "hidden_size": row["width"],
        "initializer_range": 0.02,
        "intermediate_size": row["ffn_width"],
        "is_llama_config": True,
        "max_position_embeddings": run.sequence,
        "num_attention_heads": row["query_heads"],
        "num_hidden_layers": row["layers"],
        "num_key_value_heads": row["kv_heads"],
        "pad_token_id": None,
        "pretraining_tp": 1,
        "rms_norm_eps": 1.0e-6,
        "rope_scaling": None,
        "tie_word_embeddings": bool(row["tied_embedding"]),
        "use_cache": True,
        "vocab_size": row["vocabulary"],
    }


def files(arch: Architectures, run: Training) -> dict[str, str]:
    """Return config.yaml for `run_train.py --config-file`; its data are the team's to name."""
    config = {
        "general": {"project": "roofline", "run": run.name, "seed": 42},
        "parallelism": {
            "dp": run.gpus, "tp": 1, "pp": 1, "pp_engine": "1f1b", "tp_mode": "ALL_REDUCE",
            "tp_linear_async_communication": False,
        },
        "model": {
            "ddp_bucket_cap_mb": 25,
            "dtype": "bfloat16",
            "init_method": {"std": 0.02},
            "make_vocab_size_divisible_by": 1,
            "model_config": model(arch, run),
        },
        "optimizer": {
            "accumulate_grad_in_fp32": True,
            "clip_grad": 1.0,
            "weight_decay": 0.1,
            "zero_stage": 1,
            "optimizer_factory": {
                "name": "adamW", "adam_beta1": 0.9, "adam_beta2": 0.95, "adam_eps": 1.0e-8,
                "torch_adam_is_fused": True,
            },
            "learning_rate_scheduler": {
                "learning_rate": run.learning_rate,
                "lr_warmup_steps": run.warmup,
                "lr_warmup_style": "linear",
                "lr_decay_style": "cosine",
                "lr_decay_steps": run.steps - run.warmup,
                "min_decay_lr": run.final_rate,
            },
        },
        "tokens": {
            "sequence_length": run.sequence,
            "train_steps": run.steps,
            "micro_batch_size": 1,
            "batch_accumulation_per_replica": run.each,
            "val_check_interval": -1,
        },
        "checkpoints": {"checkpoints_path": "checkpoints", "checkpoint_interval": 1000},
        "logging": {"iteration_step_info_interval": 1},
        "data_stages": [
            {
                "name": "all", "start_training_step": 1,
                "data": {"dataset": None, "num_loading_workers": 1, "seed": 42},
            }
        ],
    }  # fmt: skip
    return {"config.yaml": yaml.safe_dump(config, sort_keys=False)}
