"""A recipe: an ordered list of steps, and the optimiser of those that train.

    distil:llama-3.1-70b,lora,muon,gptq:4:g128,kv:int8

or a YAML file with the same steps, each a line of that grammar or a mapping of its fields:

    steps:
      - distil: {teacher: llama-3.1-70b, tokens: 4B}
      - gptq:4:g128
    optimiser: {name: muon, decay: 0.17}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SerializeAsAny, field_validator, model_validator

from roofline.compression.steps import STEPS, Cache, Distil, Lora, Prune, Quantise, Step
from roofline.compression.steps.quantise import GGUF
from roofline.compression.steps.step import count
from roofline.degradation import gguf, methods
from spec_files import SpecError, did_you_mean, read_spec, short, validate_spec
from spec_files.model import Spec

PUBLISHED = "arXiv 2601.09865"
BATCH = 16_384.0


class Optimiser(Spec):
    """What trains: it sets the state's memory and its own FLOPs.

    Nothing is published of how an optimiser changes what quantisation costs but one pair (arXiv
    2601.09865): quantisation took 3 points of ARC-easy after Adam and 0.5 after Muon. `decay` is
    the user's factor on the nats that quantisation adds, 1 unless it is given.
    """

    name: Literal["adam", "muon"]
    """Which of the two."""
    decay: float = Field(default=1.0, gt=0)
    """Factor on the nats that quantisation adds; 1 leaves them as published."""
    batch: float = BATCH
    """Tokens of a step of training."""

    @field_validator("batch", mode="before")
    @classmethod
    def _batch(cls, given: object) -> float:
        return count(str(given), "batch")

    def __str__(self) -> str:
        return self.name + (f":{self.decay:g}" if self.decay != 1 else "")


OPTIMISERS = ("adam", "muon")
_WORDS = (*STEPS, *methods.METHODS, GGUF, *OPTIMISERS)


class Recipe(Spec):
    """Steps in the order in which they are carried out; none at all leaves the model as it is."""

    name: str = ""
    """What tables call it."""
    steps: tuple[SerializeAsAny[Step], ...] = ()
    """Words such as `gptq:4:g128`, or mappings of a step's name to its fields."""
    optimiser: Optimiser | None = None
    """What trains; Adam where a step trains and none is named."""

    @model_validator(mode="before")
    @classmethod
    def _read(cls, data: Any) -> Any:
        """Make steps of words and mappings; an optimiser may stand among the steps."""
        if not isinstance(data, Mapping) or not isinstance(data.get("steps"), Sequence):
            return data
        if isinstance(data["steps"], str):
            return data  # refused as no list
        steps: list[Step] = []
        given = dict(data)
        for at, entry in enumerate(data["steps"]):
            try:
                made = entry if isinstance(entry, Step) else _step(entry)
            except SpecError as wrong:
                where = ".".join(map(str, wrong.at))
                fault = f"{where}: {wrong.fault}" if where else wrong.fault
                raise SpecError(fault, ("steps", at)) from None
            if isinstance(made, Step):
                steps.append(made)
            elif given.get("optimiser") is not None:
                raise SpecError(
                    f"a recipe has one optimiser; read {made.name} as another", ("steps", at)
                )
            else:
                given["optimiser"] = made
        return given | {"steps": tuple(steps)}

    @model_validator(mode="after")
    def _order(self) -> Self:
        last: dict[type[Step], Step] = {}
        for at, step in enumerate(self.steps):
            kind = type(step)
            if kind in last:
                raise SpecError(_TWICE[kind].format(last[kind], step), ("steps", at))
            for later in _BEFORE.get(kind, ()):
                if later in last:
                    raise SpecError(_told(step, last[later]), ("steps", at))
            last[kind] = step
        check_stored(last.get(Prune), last.get(Quantise))
        trains = Distil in last or Lora in last
        if self.optimiser is not None and not trains:
            raise SpecError(
                f"optimiser {self.optimiser}: no step of the recipe trains; nearest is "
                f"'distil:TEACHER,{self.optimiser.name}' or 'lora,{self.optimiser.name}'",
                ("optimiser",),
            )
        return self

    def step(self, kind: type[Step]) -> Any:
        """Return the recipe's step of a kind, None where it has none."""
        return next((step for step in self.steps if isinstance(step, kind)), None)

    @property
    def decay(self) -> float:
        """The user's factor on what quantisation costs."""
        return 1.0 if self.optimiser is None else self.optimiser.decay

    def __str__(self) -> str:
        words = [str(step) for step in self.steps]
        if self.optimiser is not None:
            at = 1 + max(i for i, step in enumerate(self.steps) if isinstance(step, (Distil, Lora)))
            words.insert(at, str(self.optimiser))
        return ",".join(words) or "none"

    def to_yaml(self) -> str:
        """Return the recipe as a file that `--recipe` reads back."""
        import yaml

        steps = []
        for step in self.steps:
            fields = step.model_dump(exclude_defaults=True)
            steps.append({step.word: fields})
        data: dict[str, Any] = {"name": self.name} if self.name else {}
        data["steps"] = steps
        if self.optimiser is not None:
            data["optimiser"] = self.optimiser.model_dump(exclude_defaults=True)
        return str(yaml.safe_dump(data, sort_keys=False))


_TWICE: dict[type[Step], str] = {
    Quantise: "weights are quantised twice, by {} and by {}; keep one of them",
    Cache: "the cache is quantised twice, by {} and by {}; keep one of them",
    Prune: "weights are pruned twice, by {} and by {}; keep one of them",
    Distil: "there are two teachers, {} and {}; keep one of them",
    Lora: "adapters are trained twice, by {} and by {}; keep one of them",
}
_BEFORE: dict[type[Step], tuple[type[Step], ...]] = {
    Distil: (Lora, Prune, Quantise),
    Lora: (Prune, Quantise),
    Prune: (Quantise,),
}
"""Steps that come before others: what trains before what prunes before what quantises."""
_WHY = {
    (Distil, Quantise): "training would take quantised weights back to 16 bits",
    (Lora, Quantise): "merged adapters take quantised weights back to 16 bits",
    (Prune, Quantise): "no published method prunes quantised weights",
    (Distil, Prune): "training would fill the zeros again, and no table tells what it recovers",
    (Lora, Prune): "merged adapters fill the zeros again",
    (Distil, Lora): "the adapters are what the distillation trains",
}


def check_stored(prune: Step | None, quantise: Step | None) -> None:
    """Refuse zeros in a file that has no place for them."""
    if prune is not None and isinstance(quantise, Quantise) and quantise.method == GGUF:
        raise SpecError(
            f"{prune} before {quantise}: a file of llama.cpp stores a zero like any weight, so "
            f"that nothing is saved; nearest is '{quantise}', or '{prune},gptq:4:g128'",
            ("steps",),
        )


def _told(step: Step, after: Step) -> str:
    why = _WHY[type(step), type(after)]
    return f"{step} comes after {after}: {why}; nearest is '{step},{after}'"


def _step(entry: object) -> Step | Optimiser:
    """A step from a word of the grammar, or from a mapping of one name to its fields."""
    if isinstance(entry, str):
        return _from_words(entry)
    if isinstance(entry, Mapping) and len(entry) == 1:
        ((word, fields),) = entry.items()
        if word not in STEPS:
            raise SpecError(f"unknown step {short(word)}{did_you_mean(str(word), STEPS)}")
        if isinstance(fields, str):
            return _from_words(f"{word}:{fields}")
        return validate_spec({} if fields is None else fields, STEPS[word], f"step {word}")
    raise SpecError(f"read {short(entry)} where a step belongs, such as gptq:4:g128")


def _from_words(text: str) -> Step | Optimiser:
    word, *rest = [part.strip() for part in text.strip().split(":")]
    word = word.lower()
    if word in OPTIMISERS:
        if len(rest) > 1:
            raise SpecError(f"read {text!r}; an optimiser has one factor, as in muon:0.17")
        try:
            decay = float(rest[0]) if rest else 1.0
        except ValueError:
            raise SpecError(
                f"read {text!r}; write the optimiser's factor as in muon:0.17"
            ) from None
        return validate_spec({"name": word, "decay": decay}, Optimiser, f"optimiser {text!r}")
    if word in methods.METHODS or word == GGUF:
        return Quantise.parse([word, *rest])
    if word in STEPS:
        return STEPS[word].parse(rest)
    types = gguf.types()
    if word in types:
        return Quantise.parse([GGUF, word, *rest])
    raise SpecError(f"unknown step {short(word)}{did_you_mean(word, (*_WORDS, *types))}")


def load_recipe(text: str) -> Recipe:
    """Return the recipe of a text, or of the YAML file that it names.

    Raises SpecError for an unknown step, steps in an order that cannot be, and bad numbers.
    """
    path = Path(text)
    if path.suffix in (".yaml", ".yml") and ":" not in text:  # as in distil:./teacher.yaml
        return read_spec(path, Recipe)
    words = [] if text.strip().lower() == "none" else text.split(",")
    if any(not word.strip() for word in words):
        raise SpecError(f"--recipe: read {text!r}; an empty step stands between commas")
    try:
        return Recipe(steps=tuple(words))  # type: ignore[arg-type]
    except ValueError as wrong:
        fault = _fault(wrong)
        raise SpecError(f"--recipe: {fault.rstrip('.')}") from None


def _fault(wrong: ValueError) -> str:
    """The sentence of a SpecError that pydantic wrapped."""
    found = getattr(wrong, "errors", None)
    if found is not None:
        for error in found(include_url=False):
            cause = error.get("ctx", {}).get("error")
            if cause is not None:
                return str(getattr(cause, "fault", cause))
    return str(wrong)


def published(teacher: str) -> Recipe:
    """Return the recipe of arXiv 2601.09865: distilled into adapters by Muon, GPTQ at 4 bits."""
    return Recipe(
        name=PUBLISHED,
        steps=(
            Distil(teacher=teacher),
            Lora(),
            Quantise(method="gptq", bits=4, group=128),
        ),
        optimiser=Optimiser(name="muon"),
    )
