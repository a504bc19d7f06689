"""A diffusion language model whose distribution is known exactly: running sums, digit by digit.

A question is a start and a list of addends, modulo 16. A text is the list of running sums, each
written as two digits to the base of four. Most addends are easy; at a hard one the step goes wrong
with a probability that the question sets: mostly by the same slip, sometimes by any other. Both
digits follow from one sum, so drawing them apart where the sum is in doubt writes a sum that nobody
meant: what goes wrong when a diffusion model commits too much at once. Conditionals given any
pattern of masks are exact, by forward and backward recursion over the sums.
"""

import numpy as np

from roofline.diffusion.decoding import MASK

BASE = 4
STATES = BASE * BASE
SLIP = 5  # both digits change


class RunningSums:
    """A table of questions; a prompt is a question's number, and a text two digits a step."""

    def __init__(self, questions, steps, *, hard=0.2, error=(0.2, 0.5), easy=0.002, slips=0.8,
                 seed=0):  # fmt: skip
        random = np.random.default_rng(seed)
        self.steps, self.length = steps, 2 * steps
        self.start = random.integers(STATES, size=questions)
        self.addends = random.integers(STATES, size=(questions, steps))
        doubt = random.uniform(*error, size=(questions, 1))
        wrong = np.where(random.random((questions, steps)) < hard, doubt, easy)
        offset = np.full(STATES, (1 - slips) / (STATES - 2))
        offset[0], offset[SLIP] = 0.0, slips
        kernel = wrong[..., None] * offset + (1 - wrong[..., None]) * (np.arange(STATES) == 0)
        here = np.arange(STATES)
        gap = (here[None, :] - here[:, None] - self.addends[..., None, None]) % STATES
        self.chain = np.take_along_axis(
            kernel[:, :, None, :].repeat(STATES, axis=2), gap, axis=3
        )  # (questions, steps, from, to)

    @property
    def prompts(self):
        return np.arange(len(self.start))[:, None]

    @property
    def truth(self):
        return (self.start + self.addends.sum(axis=1)) % STATES

    def answer(self, texts):
        return texts[:, -2] * BASE + texts[:, -1]

    def posterior(self, tokens):
        """Probability of each sum at each step, given the digits that are not masked."""
        asked, text = tokens[:, 0], tokens[:, 1:]
        high, low = text[:, 0::2, None], text[:, 1::2, None]
        state = np.arange(STATES)
        seen = ((high == MASK) | (high == state // BASE)) & ((low == MASK) | (low == state % BASE))
        # Of texts that contradict themselves every token is about as likely, and none impossible.
        seen = np.where(seen, 1.0, 1e-9)
        chain = self.chain[asked] + 1e-9
        forward = np.empty((len(tokens), self.steps, STATES))
        backward = np.ones((len(tokens), self.steps, STATES))
        now = np.eye(STATES)[self.start[asked]]
        for t in range(self.steps):
            now = (now[:, None, :] @ chain[:, t])[:, 0] * seen[:, t]
            now = now / now.sum(axis=1, keepdims=True)
            forward[:, t] = now
        for t in range(self.steps - 1, 0, -1):
            later = (chain[:, t] @ (backward[:, t] * seen[:, t])[:, :, None])[:, :, 0]
            backward[:, t - 1] = later / later.sum(axis=1, keepdims=True)
        both = forward * backward
        return both / both.sum(axis=2, keepdims=True)

    def logits(self, tokens):
        both = self.posterior(tokens).reshape(len(tokens), self.steps, BASE, BASE)
        digits = np.stack([both.sum(axis=3), both.sum(axis=2)], axis=2)
        said = np.zeros((len(tokens), tokens.shape[1], BASE))
        said[:, 1:] = np.log(digits.reshape(len(tokens), self.length, BASE))
        return said
