"""The one exception for bad input, and the words that its sentences share."""

from collections.abc import Iterator
from contextlib import contextmanager
from reprlib import Repr

_SHOWN = 60  # characters of a bad value that a sentence repeats


class SpecError(ValueError):
    """Bad input, told in one sentence.

    at: keys from the value being validated down to the one at fault, for a validator that looks at
    several fields at once; the reader adds them to the path that it prints. fault: what is wrong,
    without the place that the sentence may begin with; a reader further out knows the place better.
    """

    def __init__(self, sentence: str, at: tuple[str | int, ...] = (), fault: str | None = None):
        super().__init__(sentence)
        self.at = at
        self.fault = sentence if fault is None else fault


@contextmanager
def within(*keys: str | int) -> Iterator[None]:
    """Let a SpecError from inside say that it happened under these keys: `within("space")`."""
    try:
        yield
    except SpecError as fault:
        raise SpecError(str(fault), (*keys, *fault.at), fault.fault) from None


def short(value: object) -> str:
    """Return a value as a sentence shows it: on one line, and cut where it is long."""
    shown = Repr()
    shown.maxlevel = 3
    shown.maxlist = shown.maxtuple = shown.maxdict = shown.maxset = 20
    shown.maxstring = shown.maxlong = shown.maxother = 3 * _SHOWN
    try:
        text = shown.repr(value)
    except ValueError:  # Python writes no whole number of more than 4300 digits
        return "a whole number of thousands of digits"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
