"""torchtitan: a config registry for `--module ... --config train`, as version 0.3 takes it.

Earlier versions read TOML; 0.3 reads Python functions that return a `Trainer.Config`. The blocks
are those of its Qwen3, whose norms on queries and keys may be left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roofline.export.shape import beyond, decisive

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from roofline.export.stacks import Training

TITLE = "torchtitan"
VERSION = "0.3.0"
_SAID = {"tied_embedding", "experts", "experts_per_token", "expert_width"}


def refusal(arch: Architectures) -> str:
    """Say what torchtitan's grouped-query blocks have no argument for."""
    row = decisive(arch)
    if row["qk_norm"] == "projection":
        return "norms over all heads of a query together"
    return beyond(row, {*_SAID, "qk_norm"})


def files(arch: Architectures, run: Training) -> dict[str, str]:
    """Return the module roofline_export, which stands beside the place that torchrun starts in."""
    row = decisive(arch)
    values = {
        "name": run.name, "layers": row["layers"], "width": row["width"],
        "query_heads": row["query_heads"], "kv_heads": row["kv_heads"],
        "head_size": row["head_size"], "vocabulary": row["vocabulary"],
        "tied": bool(row["tied_embedding"]), "qk_norm": row["qk_norm"] == "head",
        "experts": row["experts"], "top_k": row["experts_per_token"],
        "hidden": row["expert_width"] if row["experts"] > 1 else row["ffn_width"],
        "sequence": run.sequence, "local": run.each if run.each < 8 else 1,
        "batch": run.each * run.gpus, "steps": run.steps, "warmup": run.warmup,
        "rate": float(f"{run.learning_rate:.6g}"),
        "floor": float(f"{run.final_rate / run.learning_rate:.6g}"),
    }  # fmt: skip
    text = _MODULE
    for name, value in values.items():
        text = text.replace(f"<{name}>", repr(value))
    return {"roofline_export/__init__.py": "", "roofline_export/config_registry.py": text}


_MODULE = '''\
"""For torchtitan 0.3.0: torchrun ... -m torchtitan.train --module roofline_export --config train.

Name your tokenizer (--hf_assets_path) and your data (--dataloader.dataset).
"""

from functools import partial

import torch.nn as nn
from torchtitan.components.loss import ChunkedLossWrapper, CrossEntropyLoss
from torchtitan.components.optimizer import (
    LRSchedulersContainer,
    default_adamw,
    register_moe_load_balancing_hook,
)
from torchtitan.config import TrainingConfig
from torchtitan.distributed.activation_checkpoint import FullAC
from torchtitan.distributed.pipeline_parallel import pipeline_llm
from torchtitan.hf_datasets.text_datasets import HuggingFaceTextDataLoader
from torchtitan.models.common import CosSinRoPE, Embedding, Linear
from torchtitan.models.common.config_utils import (
    decoder_vocab_size,
    get_attention_config,
    make_ffn_config,
    make_gqa_config,
    make_moe_config,
    make_routed_experts_config,
    make_router_config,
)
from torchtitan.models.common.nn_modules import RMSNorm
from torchtitan.models.common.param_init import skip_param_init
from torchtitan.models.qwen3 import parallelize_qwen3
from torchtitan.models.qwen3.model import Qwen3Model, Qwen3TransformerBlock
from torchtitan.protocols.model_spec import ModelSpec
from torchtitan.trainer import Trainer

LAYERS, WIDTH, VOCABULARY, TIED = <layers>, <width>, <vocabulary>, <tied>
QUERY_HEADS, KV_HEADS, HEAD_SIZE, QK_NORM = <query_heads>, <kv_heads>, <head_size>, <qk_norm>
EXPERTS, TOP_K, HIDDEN = <experts>, <top_k>, <hidden>
SEQUENCE = <sequence>

NORMAL = partial(nn.init.normal_, std=0.02)
OUTPUT = partial(nn.init.normal_, std=0.02 / (2 * LAYERS) ** 0.5)
LINEAR = {"weight": NORMAL, "bias": nn.init.zeros_}
RESIDUAL = {"weight": OUTPUT, "bias": nn.init.zeros_}


def norm(size):
    return RMSNorm.Config(normalized_shape=size, eps=1e-6, param_init={"weight": nn.init.ones_})


def network():
    if EXPERTS <= 1:
        return {
            "feed_forward": make_ffn_config(
                dim=WIDTH, hidden_dim=HIDDEN, w1_param_init=LINEAR, w2w3_param_init=LINEAR
            )
        }
    return {
        "moe": make_moe_config(
            num_experts=EXPERTS,
            router=make_router_config(
                dim=WIDTH, num_experts=EXPERTS, gate_param_init=LINEAR, top_k=TOP_K,
                score_func="softmax", route_norm=TOP_K > 1,
            ),
            routed_experts=make_routed_experts_config(
                dim=WIDTH, hidden_dim=HIDDEN, num_experts=EXPERTS, top_k=TOP_K,
                param_init={"w1_EFD": NORMAL, "w2_EDF": OUTPUT, "w3_EFD": NORMAL},
                comm_backend="standard",
            ),
        )
    }


def block(rope, attention):
    return Qwen3TransformerBlock.Config(
        attention_norm=norm(WIDTH),
        ffn_norm=norm(WIDTH),
        attention=make_gqa_config(
            dim=WIDTH, n_heads=QUERY_HEADS, n_kv_heads=KV_HEADS, head_dim=HEAD_SIZE,
            wqkv_param_init=LINEAR, wo_param_init=RESIDUAL, inner_attention=attention,
            fuse_qkv=True, rope=rope, qk_norm=norm(HEAD_SIZE) if QK_NORM else None,
        ),
        **network(),
    )


def model(attn_backend="flex"):
    rope = CosSinRoPE.Config(dim=HEAD_SIZE, max_seq_len=SEQUENCE, theta=10000.0)
    attention = get_attention_config(attn_backend)
    return Qwen3Model.Config(
        vocab_size=VOCABULARY,
        dim=WIDTH,
        norm=norm(WIDTH),
        enable_weight_tying=TIED,
        tok_embeddings=Embedding.Config(
            num_embeddings=VOCABULARY, embedding_dim=WIDTH,
            param_init={"weight": skip_param_init if TIED else NORMAL},
        ),
        lm_head=Linear.Config(in_features=WIDTH, out_features=VOCABULARY, param_init=LINEAR),
        layers=[block(rope, attention) for _ in range(LAYERS)],
    )


def train() -> Trainer.Config:
    spec = ModelSpec(
        name="qwen3",
        flavor=<name>,
        model=model(),
        parallelize_fn=parallelize_qwen3,
        pipelining_fn=pipeline_llm,
        post_optimizer_build_fn=register_moe_load_balancing_hook,
        state_dict_adapter=None,
    )
    return Trainer.Config(
        loss=ChunkedLossWrapper.Config(
            loss_fn=CrossEntropyLoss.Config(global_vocab_size=decoder_vocab_size(spec)),
        ),
        model_spec=spec,
        dataloader=HuggingFaceTextDataLoader.Config(dataset="c4"),
        optimizer=default_adamw(lr=<rate>),
        lr_scheduler=LRSchedulersContainer.Config(
            warmup_steps=<warmup>, decay_type="cosine", min_lr_factor=<floor>
        ),
        training=TrainingConfig(
            local_batch_size=<local>, global_batch_size=<batch>, seq_len=SEQUENCE, steps=<steps>
        ),
        activation_checkpoint=FullAC.Config(),
    )
'''
