"""A corpus with structure at several lengths, made from a seed: sentences, sums and brackets.

Words agree in number, sums are right, brackets close in order: what follows is often certain, given
enough of what came before.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray

_NOUNS = ("cat", "crow", "sailor", "clock", "river", "judge", "baker", "stone", "lamp", "horse")
_VERBS = ("see", "hear", "follow", "leave", "paint", "want", "keep", "fear", "mend", "draw")
_ADJECTIVES = ("old", "small", "quiet", "red", "tired", "clever", "slow", "cold")
_PLACES = ("by the sea", "in the rain", "at noon", "under the bridge", "near the mill")
_PAIRS = ("()", "[]", "<>")


def _choose(random: np.random.Generator, words: tuple[str, ...]) -> str:
    # Zipf's law: the k-th word with a chance of 1 / k
    weight = 1.0 / np.arange(1, len(words) + 1)
    return words[int(random.choice(len(words), p=weight / weight.sum()))]


def _phrase(random: np.random.Generator) -> tuple[str, bool]:
    many = bool(random.random() < 0.5)
    adjective = f"{_choose(random, _ADJECTIVES)} " if random.random() < 0.4 else ""
    article = "the" if random.random() < 0.6 else "some" if many else "one"
    return f"{article} {adjective}{_choose(random, _NOUNS)}{'s' if many else ''}", many


def _sentence(random: np.random.Generator) -> str:
    who, many = _phrase(random)
    verb = _choose(random, _VERBS) + ("" if many else "s")
    place = f" {_choose(random, _PLACES)}" if random.random() < 0.5 else ""
    return f"{who} {verb} {_phrase(random)[0]}{place}."


def _sum(random: np.random.Generator) -> str:
    a, b = random.integers(0, 10, 2)
    return f"{a}+{b}={a + b}."


def _brackets(random: np.random.Generator) -> str:
    opened: list[str] = []
    out = ""
    for _ in range(int(random.integers(4, 9))):
        if opened and random.random() < 0.5:
            out += opened.pop()
        else:
            pair = _PAIRS[int(random.integers(len(_PAIRS)))]
            out += pair[0]
            opened.append(pair[1])
    return out + "".join(reversed(opened)) + "."


def corpus(characters: int, seed: int) -> str:
    """Return a text of so many characters."""
    random = np.random.default_rng(seed)
    parts, length = [], 0
    makers = (_sentence, _sum, _brackets)
    while length < characters:
        maker = makers[int(random.choice(3, p=(0.7, 0.15, 0.15)))]
        parts.append(maker(random) + " ")
        length += len(parts[-1])
    return "".join(parts)[:characters]


def encoded(text: str, alphabet: str) -> Array:
    """Return positions of the characters in an alphabet, (len(text),)."""
    codes = {character: code for code, character in enumerate(alphabet)}
    return np.array([codes[character] for character in text])


def alphabet() -> str:
    """Return every character that a corpus can have, sorted."""
    words = (*_NOUNS, *_VERBS, *_ADJECTIVES, *_PLACES, *_PAIRS, "the some one 0123456789+=. s")
    return "".join(sorted(set("".join(words))))


def windows(codes: Array, context: int) -> tuple[Array, Array]:
    """Return every stretch of `context` characters, (n, context), and what follows, (n,)."""
    stretches = np.lib.stride_tricks.sliding_window_view(codes, context + 1)
    return stretches[:, :-1], stretches[:, -1]
