"""The keys of one config.json, checked as they are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from arch_space.architectures import LARGEST
from spec_files import SpecError, did_you_mean, nearest, short

# What transformers calls the functions of one number, without parameters of their own, that it
# knows. They cost the same here; a name that is none of them is a slip of the pen.
ACTIVATIONS = (
    "silu", "swish", "gelu", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_new", "gelu_fast",
    "gelu_accurate", "gelu_python", "gelu_10", "quick_gelu", "relu", "relu2", "relu6", "leaky_relu",
    "hardswish", "mish", "sigmoid", "tanh", "laplace", "sqrtsoftplus", "linear",
)  # fmt: skip


class Keys:
    """The keys of one config.json, checked as they are read; errors name file, key and value."""

    def __init__(self, config: Mapping[str, Any], where: str):
        self.config = config
        self.where = where
        self.assumed: Mapping[str, Any] = {}

    def assume(self, omitted: Mapping[str, Any]) -> None:
        """Take the values that a model type gives to keys that the file omits."""
        self.assumed = {key: value for key, value in omitted.items() if key not in self.config}
        self.config = {**self.config, **self.assumed}

    def fail(self, key: str, why: str) -> NoReturn:
        """Raise SpecError: file, key, what was read, and why it cannot be."""
        found = f"read {short(self.config.get(key))}" if key in self.config else "missing"
        if key in self.assumed:
            default, family = short(self.assumed[key]), self.config["model_type"]
            found = f"missing, which to {family} means {default}"
        raise SpecError(f"{self.where}: {key}: {found}; {why}.")

    def value(self, key: str) -> Any:
        """Return the value of a key that must be there."""
        if key not in self.config:
            close = nearest(key, (str(other) for other in self.config))
            hint = f"; nearest is {close!r}" if close else ""
            raise SpecError(f"{self.where}: {key}: missing{hint}.")
        return self.config[key]

    def count(self, key: str, least: int = 1) -> int:
        """Return a whole number of at least `least`."""
        value = self.value(key)
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not least <= value <= LARGEST:
            self.fail(key, f"expected a whole number of at least {least} and at most {LARGEST}")
        return value

    def count_or_null(self, key: str) -> int | None:
        """Return a whole number, or None where the file says null."""
        return None if self.value(key) is None else self.count(key)

    def rotary_size(self, key: str) -> int:
        """Return an even whole number."""
        size = self.count(key)
        if size % 2:
            self.fail(key, "a rotary embedding turns pairs, so it must be even")
        return size

    def flag(self, key: str) -> bool:
        """Return true or false."""
        value = self.value(key)
        if not isinstance(value, bool):
            self.fail(key, "expected true or false")
        return value

    def multiple(self, key: str, of: int) -> int:
        """How many times `of` a width is: that many networks side by side are as wide."""
        width = self.count(key, least=0)
        if width % of:
            self.fail(key, f"expected a multiple of the {of} of one expert")
        return width // of

    def check_activation(self, key: str) -> None:
        """Refuse an activation that transformers does not know by name."""
        name = self.config.get(key, ACTIVATIONS[0])
        if not isinstance(name, str):
            self.fail(key, "expected the name of an activation")
        if name not in ACTIVATIONS:
            self.fail(key, f"not a known activation{did_you_mean(name, ACTIVATIONS)}")

    def kinds_of_layers(
        self, key: str, known: Sequence[str], layers: int | None
    ) -> list[str] | None:
        """Return the list of what kind each layer is; None where there is no list."""
        listed = self.config.get(key)
        if listed is None:
            return None
        if not isinstance(listed, list) or len(listed) != (layers or len(listed) or 1):
            self.fail(key, f"expected a list of {layers or 'the'} layer types")
        for kind in listed:
            if kind not in known:
                self.fail(key, f"unknown type {kind!r}{did_you_mean(str(kind), known)}")
        return listed
