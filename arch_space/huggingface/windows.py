"""Which layers attend within a window: how each model type says it, read and written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from arch_space.huggingface.keys import Keys


@dataclass(frozen=True)
class Windows:
    """Which layers slide. read: (window, layers that do) by rule; keys: those that say it.

    `layer_types`, where it is among the keys, overrules the rule. idle: window where none slides.
    """

    read: Callable[[Keys, int], tuple[int, int]]
    keys: tuple[str, ...]
    idle: int | None = None


def _no_layer(keys: Keys, layers: int) -> tuple[int, int]:
    return 0, 0


def _every_layer(keys: Keys, layers: int) -> tuple[int, int]:
    window = keys.count_or_null("sliding_window") or 0
    return window, layers if window else 0


def _every_layer_if_switched_on(keys: Keys, layers: int) -> tuple[int, int]:
    return _every_layer(keys, layers) if keys.flag("use_sliding_window") else (0, 0)


def _last_layers(keys: Keys, layers: int) -> tuple[int, int]:
    window, sliding = _every_layer_if_switched_on(keys, layers)
    return window, max(sliding - keys.count("max_window_layers", least=0), 0) if window else 0


def _all_but_every_nth(keys: Keys, layers: int) -> tuple[int, int]:
    period = keys.count("sliding_window_pattern")
    return keys.count("sliding_window"), layers - layers // period


def _all_but_every_nth_and_the_last(keys: Keys, layers: int) -> tuple[int, int]:
    window, sliding = _all_but_every_nth(keys, layers)
    return window, sliding - (layers % keys.count("sliding_window_pattern") > 0)


_SWITCHED = ("sliding_window", "use_sliding_window")
NONE = Windows(_no_layer, ())
UNIFORM = Windows(_every_layer, ("sliding_window",))
UNIFORM_SWITCHED = Windows(_every_layer_if_switched_on, _SWITCHED)
LAST = Windows(_last_layers, (*_SWITCHED, "max_window_layers", "layer_types"))
IN_TURN = Windows(_all_but_every_nth, ("sliding_window", "layer_types"), idle=4096)
IN_TURN_THEN_FULL = Windows(
    _all_but_every_nth_and_the_last, ("sliding_window", "layer_types"), idle=4096
)


def written_windows(one: Mapping[str, int], windows: Windows) -> dict[str, Any]:
    """Return the keys by which a model type says which of a candidate's layers slide."""
    layers, sliding = one["layers"], one["sliding_layers"]
    full = layers - sliding
    if windows in (IN_TURN, IN_TURN_THEN_FULL):
        period = layers // full if full else layers + 1
        stays = [(i + 1) % period == 0 and (i + 1) // period <= full for i in range(layers)]
    else:
        stays = [i < full for i in range(layers)]
    every = {
        "sliding_window": one["window"] or windows.idle,
        "use_sliding_window": sliding > 0,
        "max_window_layers": full,
        "layer_types": ["full_attention" if s else "sliding_attention" for s in stays],
    }
    return {key: every[key] for key in windows.keys}
