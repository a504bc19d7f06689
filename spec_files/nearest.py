"""What a misspelt word was probably meant to be."""

from collections.abc import Iterable

_LISTED = 30  # choices that a sentence may list


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice closest to a word, case aside; None when nothing is close."""
    from difflib import get_close_matches

    by_lower = {choice.lower(): choice for choice in reversed(list(choices))}
    close = get_close_matches(str(word).lower(), by_lower, n=1)
    return by_lower[close[0]] if close else None


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return the end of an error sentence: the nearest choice, or all of them if none is close.

    Where they are more than a sentence holds, it says only how many there are.
    """
    known = list(choices)
    close = nearest(word, known)
    if close is not None:
        return f"; nearest is {close!r}"
    if len(known) > _LISTED:
        return f"; none of the {len(known)} known is near"
    return f"; known: {', '.join(known)}" if known else "; none is known"
