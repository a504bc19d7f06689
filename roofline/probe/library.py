"""The library whose products are measured: PyTorch where it is installed, numpy otherwise.

A profile describes a processor under one library, as efficiencies always do. numpy multiplies
single precision only and has no attention kernel; its BLAS takes as many threads as it likes.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from roofline.probe.sampling import Work

BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1}


class NumpyLibrary:
    """Products through numpy's BLAS."""

    name = "numpy"
    formats: tuple[str, ...] = ("fp32",)

    def ones(self, count: int, number_format: str) -> Any:
        """Return a flat array of ones."""
        return np.ones(count, np.float32)

    def linear(self, x: Any, w: Any) -> Any:
        """Return x times w transposed; w is (outputs, inputs)."""
        return x @ w.T

    def multiply(self, x: Any, w: Any) -> Work:
        """Return the product of two matrices as work to time."""
        return lambda: x @ w.T

    def attend(self, q: Any, k: Any, v: Any, causal: bool) -> Any:
        """Mix values (heads, keys, size) by softmax; a plain chain of calls, for overheads only."""
        scores = q @ k.swapaxes(-1, -2)
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return (scores / scores.sum(axis=-1, keepdims=True)) @ v

    def norm(self, x: Any, gain: Any) -> Any:
        """Return the root-mean-square norm."""
        return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + 1e-6) * gain

    def gate(self, gate: Any, up: Any) -> Any:
        """Return silu(gate) times up."""
        return gate / (1.0 + np.exp(-gate)) * up

    def rotate(self, x: Any, cosine: Any, sine: Any) -> Any:
        """Return the rotary embedding of x."""
        half = x.shape[-1] // 2
        return x * cosine + np.concatenate((-x[..., half:], x[..., :half]), axis=-1) * sine

    @contextmanager
    def threads(self, count: int) -> Iterator[None]:
        """Leave the number of threads to the BLAS, which reads it from the environment."""
        yield

    def software(self) -> str:
        """Versions, for the profile's source."""
        blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        return f"numpy {np.__version__} with {blas['name']} {blas['version']}"


class TorchLibrary(NumpyLibrary):
    """Products and attention through PyTorch."""

    name = "torch"
    formats = ("fp32", "bf16", "fp16", "int8")

    def __init__(self) -> None:
        import torch

        self.torch: Any = torch
        self.types = {
            "fp32": torch.float32,
            "bf16": torch.bfloat16,
            "fp16": torch.float16,
            "int8": torch.int8,
        }

    def ones(self, count: int, number_format: str) -> Any:
        """Return a flat array of ones."""
        return self.torch.ones(count, dtype=self.types[number_format])

    def linear(self, x: Any, w: Any) -> Any:
        """Return x times w transposed; w is (outputs, inputs)."""
        return self.torch.nn.functional.linear(x, w)

    def multiply(self, x: Any, w: Any) -> Work:
        """Return the product of two matrices as work to time; int8 accumulates in int32."""
        if x.dtype == self.torch.int8:
            columns = w.t()
            return lambda: self.torch._int_mm(x, columns)
        return lambda: self.torch.nn.functional.linear(x, w)

    def attend(self, q: Any, k: Any, v: Any, causal: bool) -> Any:
        """Mix values (heads, keys, size); query heads may share key heads."""
        return self.torch.nn.functional.scaled_dot_product_attention(
            q, k, v, is_causal=causal, enable_gqa=q.shape[-3] != k.shape[-3]
        )

    def norm(self, x: Any, gain: Any) -> Any:
        """Return the root-mean-square norm."""
        return self.torch.nn.functional.rms_norm(x, gain.shape, gain, 1e-6)

    def gate(self, gate: Any, up: Any) -> Any:
        """Return silu(gate) times up."""
        return self.torch.nn.functional.silu(gate) * up

    def rotate(self, x: Any, cosine: Any, sine: Any) -> Any:
        """Return the rotary embedding of x."""
        first, second = x.chunk(2, dim=-1)
        return x * cosine + self.torch.cat((-second, first), dim=-1) * sine

    @contextmanager
    def threads(self, count: int) -> Iterator[None]:
        """Run on this many threads, without gradients."""
        before = self.torch.get_num_threads()
        self.torch.set_num_threads(count)
        try:
            with self.torch.inference_mode():
                yield
        finally:
            self.torch.set_num_threads(before)

    def software(self) -> str:
        """Versions, for the profile's source."""
        return f"PyTorch {self.torch.__version__}, {super().software()}"


def best_library() -> NumpyLibrary:
    """PyTorch where it is installed, numpy otherwise."""
    return TorchLibrary() if importlib.util.find_spec("torch") else NumpyLibrary()
