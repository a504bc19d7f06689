"""Small transformers run on this computer, beside what `roofline.estimate` says of them.

    python benchmarks/transformer_on_cpu.py [--profile here.yaml] [--threads N] [--format fp32]
        [--cpu-time] [--check]

Llama-like decoders with random weights, in plain eager PyTorch: grouped-query attention, rotary
embedding, a KV cache that is written in place, a gated network, a tied head. Prefill at several
prompt lengths, one decode step at several contexts; medians of repeats. Without --profile this
computer is probed first (quickly; --full for the long probe). No number of the profile is fitted to
these models. --check: exit status 1 if the median absolute error is above the target.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from arch_space import Architectures
from arch_space.formats import format_code
from hardware_specs import Device, load_device
from roofline import Workload, estimate

TARGET = 0.25
"""Median absolute error."""
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Shape:
    """What a decoder looks like."""

    name: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    inner: int
    vocabulary: int = 32_000

    def architecture(self, number_format: str) -> Architectures:
        """The same decoder as the estimate sees it."""
        code = format_code(number_format)
        return Architectures.checked(
            layers=self.layers, width=self.width, query_heads=self.heads, kv_heads=self.kv_heads,
            head_size=self.width // self.heads, ffn_width=self.inner, vocabulary=self.vocabulary,
            weight_format=code, embedding_format=code, kv_format=code, activation_format=code,
        )  # fmt: skip


SHAPES = (
    Shape("33M", 8, 512, 8, 4, 1536),
    Shape("100M", 12, 768, 12, 4, 2048),
    Shape("164M", 12, 1024, 16, 4, 2816),
)


class Layer(nn.Module):
    def __init__(self, shape: Shape, context: int) -> None:
        super().__init__()
        self.head = shape.width // shape.heads
        self.heads, self.kv_heads = shape.heads, shape.kv_heads
        kv = self.head * shape.kv_heads
        self.query = nn.Linear(shape.width, shape.width, bias=False)
        self.key = nn.Linear(shape.width, kv, bias=False)
        self.value = nn.Linear(shape.width, kv, bias=False)
        self.output = nn.Linear(shape.width, shape.width, bias=False)
        self.gate = nn.Linear(shape.width, shape.inner, bias=False)
        self.up = nn.Linear(shape.width, shape.inner, bias=False)
        self.down = nn.Linear(shape.inner, shape.width, bias=False)
        self.before, self.after = nn.RMSNorm(shape.width), nn.RMSNorm(shape.width)
        cache = torch.zeros(2, 1, shape.kv_heads, context, self.head)
        self.register_buffer("cache", cache)

    def forward(self, x: Tensor, start: int, rope: tuple[Tensor, Tensor]) -> Tensor:
        tokens = x.shape[1]
        end = start + tokens
        y = self.before(x)
        q = self.query(y).view(1, tokens, self.heads, self.head).transpose(1, 2)
        k = self.key(y).view(1, tokens, self.kv_heads, self.head).transpose(1, 2)
        v = self.value(y).view(1, tokens, self.kv_heads, self.head).transpose(1, 2)
        q, k = rotate(q, *rope), rotate(k, *rope)
        self.cache[0, :, :, start:end] = k
        self.cache[1, :, :, start:end] = v
        keys, values = self.cache[0, :, :, :end], self.cache[1, :, :, :end]
        mixed = F.scaled_dot_product_attention(
            q, keys, values, is_causal=tokens > 1, enable_gqa=True
        )
        x = x + self.output(mixed.transpose(1, 2).reshape(1, tokens, -1))
        y = self.after(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Decoder(nn.Module):
    def __init__(self, shape: Shape, context: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.layers = nn.ModuleList(Layer(shape, context) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width)
        head = shape.width // shape.heads
        angle = torch.outer(torch.arange(context), 10_000 ** (-torch.arange(0, head, 2) / head))
        angle = torch.cat((angle, angle), dim=-1)
        self.register_buffer("cosine", angle.cos())
        self.register_buffer("sine", angle.sin())

    def forward(self, tokens: Tensor, start: int) -> Tensor:
        end = start + tokens.shape[1]
        rope = self.cosine[start:end], self.sine[start:end]
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x, start, rope)
        return F.linear(self.norm(x[:, -1]), self.embedding.weight)


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return x * cosine + torch.cat((-second, first), dim=-1) * sine


def median_time(work: Callable[[], object], budget: float, clock: Callable[[], float]) -> float:
    """Median seconds of the repeats that fit the budget; at least five, the first not counted."""
    work()
    found: list[float] = []
    while len(found) < 5 or (sum(found) < budget and len(found) < 100):
        start = clock()
        work()
        found.append(clock() - start)
    return float(np.median(found))


def probed(threads: int, full: bool, clock: Callable[[], float]) -> Device:
    """Probe this computer."""
    from roofline.probe import measure, plan, this_machine, to_device
    from roofline.probe.profile import Identity

    machine = this_machine()
    todo = plan(machine, threads, quick=not full, clock=clock)
    samples = measure(todo, lambda step, done, total: print(f"  {step}", file=sys.stderr))
    identity = Identity("here", machine.title, machine.kind, "2026", "PyTorch", machine.system)
    return to_device(machine, samples, threads, identity)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", help="a profile that `roofline probe` wrote")
    parser.add_argument("--full", action="store_true", help="probe at length where none is given")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--format", choices=sorted(TYPES), action="append")
    parser.add_argument("--budget", type=float, default=1.0, help="seconds for each measurement")
    parser.add_argument("--check", action="store_true", help="exit with 1 if the target is missed")
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="count the thread's own time, on one thread, where other programs run beside",
    )
    options = parser.parse_args()
    if options.cpu_time and (options.threads != 1 or options.profile):
        parser.error("--cpu-time needs --threads 1 and its own probe, which then counts alike")
    clock = time.thread_time if options.cpu_time else time.perf_counter

    device = (
        load_device(options.profile)
        if options.profile
        else probed(options.threads, options.full, clock)
    )
    torch.set_num_threads(options.threads)
    print(f"{device.title}, {device.processor().title}; measured on {options.threads} threads")
    print(f"{'model':6} {'format':6} {'phase':14} {'measured':>12} {'predicted':>12}  pred/meas")
    errors = []
    with torch.inference_mode():
        for shape in SHAPES:
            for number_format in options.format or ["fp32"]:
                model = Decoder(shape, 2056).to(TYPES[number_format]).eval()
                arch = shape.architecture(number_format)
                for phase, length in [
                    *(("prefill", n) for n in (32, 128, 512, 1024)),
                    *(("decode", n) for n in (16, 512, 2048)),
                ]:
                    prompt = length if phase == "prefill" else 1
                    tokens = torch.randint(shape.vocabulary, (1, prompt))
                    start = 0 if phase == "prefill" else length
                    measured = median_time(
                        lambda m=model, t=tokens, s=start: m(t, s), options.budget, clock
                    )
                    found = estimate(arch, device, Workload(prompt=length, generate=1))
                    predicted = float((found.ttft if phase == "prefill" else found.tpot)[0])
                    ratio = predicted / measured
                    errors.append((phase, abs(ratio - 1)))
                    print(
                        f"{shape.name:6} {number_format:6} {phase:8} {length:5} "
                        f"{measured * 1e3:9.2f} ms {predicted * 1e3:9.2f} ms  {ratio:9.2f}",
                        flush=True,
                    )
    for phase in ("prefill", "decode"):
        own = [error for p, error in errors if p == phase]
        print(f"median absolute error of {phase:8} {np.median(own):6.1%}")
    error = float(np.median([e for _, e in errors]))
    print(f"median absolute error             {error:6.1%}")
    return int(options.check and error > TARGET)


if __name__ == "__main__":
    sys.exit(main())
