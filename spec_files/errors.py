"""The one exception for bad input."""


class SpecError(ValueError):
    """Bad input, told in one sentence.

    at: keys from the value being validated down to the one at fault, for a validator that looks at
    several fields at once; the reader adds them to the path that it prints.
    """

    def __init__(self, sentence: str, at: tuple[str | int, ...] = ()):
        super().__init__(sentence)
        self.at = at
