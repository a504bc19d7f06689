"""What replaces the plain residual stream in Gemma 3n: AltUp's streams and LAuReL's low rank."""

from arch_space.architectures import Architectures
from roofline.operators.cost import (
    NO_LAYERS,
    Array,
    Cost,
    Operator,
    Tensors,
    activation_bytes,
    in_and_out,
)
from roofline.workload import Pass


def stream_projections(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """One further stream: made of the embedding before the layers, and folded back after them."""
    into, out = tensors["stream_in"], tensors["stream_out"]
    return in_and_out(into, out, step.tokens, activation_bytes(arch))


def streams(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """AltUp of a layer: predict all streams, run the layer on one, correct the others by it.

    The router runs before and after. Products: its scores twice, the coefficients of both steps,
    and the mixing of the streams by the first.
    """
    router, mix = tensors["stream_router"], tensors["stream_mix"]
    mixing = arch.width * arch.streams**2
    # Streams in and out, in the prediction and in the correction; what the layer made of one.
    moved = (4.0 * arch.streams + 3.0) * arch.width
    return Cost(
        flops=2.0 * step.tokens * (2.0 * router.elements + mix.elements + mixing),
        weights=router.bytes_each + mix.bytes_each,
        activations=step.tokens * moved * activation_bytes(arch),
        launches=6.0,
    )


def laurel(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """LAuReL of a layer: a product of low rank beside the attention."""
    down, up = tensors["laurel_down"], tensors["laurel_up"]
    return in_and_out(down, up, step.tokens, activation_bytes(arch))


def _further_streams(arch: Architectures) -> Array:
    return (arch.streams - 1.0) * (arch.streams > 1)


def _layers_with_streams(arch: Architectures) -> Array:
    return arch.layers * (arch.streams > 0) if arch.streams.any() else NO_LAYERS


def _layers_with_laurel(arch: Architectures) -> Array:
    return arch.layers * (arch.laurel_rank > 0) if arch.laurel_rank.any() else NO_LAYERS


OPERATORS = (
    Operator("stream_projections", _further_streams, stream_projections, "weights"),
    Operator("streams", _layers_with_streams, streams, "weights"),
    Operator("laurel", _layers_with_laurel, laurel, "weights"),
)
