"""The network's gradients against torch, rounding by hand, and a small run of the whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roofline.compression.experiment import network, text
from roofline.compression.experiment.network import Shape
from roofline.compression.experiment.rounding import peakedness, rounded
from roofline.compression.experiment.run import BITS, GROUPS, Plan, mean_and_error, run

SHAPE = Shape(11, context=4, embedding=3, width=8, layers=3)


def test_gradients_are_torchs():
    torch = pytest.importorskip("torch")
    weights = {k: v.astype(float) for k, v in network.initial(SHAPE, 0).items()}
    random = np.random.default_rng(1)
    contexts, targets = random.integers(0, 11, (32, 4)), random.integers(0, 11, 32)
    value, found = network.loss_and_gradients(weights, SHAPE, contexts, targets)
    theirs = {k: torch.tensor(v, requires_grad=True) for k, v in weights.items()}

    def norm(h):
        return h / torch.sqrt((h * h).mean(1, keepdim=True) + 1e-6)

    h = torch.relu(theirs["embedding"][torch.tensor(contexts)].flatten(1) @ theirs["layer_0"].T)
    for name in ("layer_1", "layer_2"):
        h = h + torch.relu(norm(h) @ theirs[name].T)
    logits = norm(h) @ theirs["head"].T
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(targets))
    loss.backward()
    assert value == pytest.approx(loss.item())
    assert network.loss(weights, SHAPE, contexts, targets) == pytest.approx(loss.item())
    for name, gradient in found.items():
        assert gradient == pytest.approx(theirs[name].grad.numpy(), abs=1e-9), name


def test_rounding_by_hand():
    # 3 bits: whole numbers -3 to 3, the largest value at 3; a row at a time
    weight = np.array([[0.3, -0.14, 0.04, 0.0], [6.0, -2.9, 1.1, 0.9]])
    assert rounded(weight, 3) == pytest.approx(np.array([[0.3, -0.1, 0.0, 0], [6, -2, 2, 0]]))
    assert rounded(weight, 3, group=2)[1] == pytest.approx([6, -2, 1.1, 1.1 * 2 / 3])
    with pytest.raises(ValueError, match="groups of 3"):
        rounded(weight, 4, group=3)
    assert peakedness(np.array([[1.0, 1.0], [2.0, 0.0]])) == pytest.approx((1 + 2**0.5) / 2)


@settings(deadline=None)
@given(bits=st.integers(2, 8), seed=st.integers(0, 1000))
def test_rounding_errs_by_half_a_step_and_finer_groups_by_no_more_of_it(bits, seed):
    weight = np.random.default_rng(seed).normal(size=(3, 16))
    for group in (0, 4):
        parts = weight.reshape(3, -1, group or 16)
        step = np.abs(parts).max(2, keepdims=True) / (2 ** (bits - 1) - 1)
        off = np.abs(rounded(weight, bits, group).reshape(parts.shape) - parts)
        assert (off <= step / 2 + 1e-12).all()
    assert len(np.unique(rounded(weight, bits)[0])) <= 2**bits - 1


def test_the_text_has_its_structure():
    whole = text.corpus(20_000, seed=3)
    assert len(whole) == 20_000
    assert whole == text.corpus(20_000, seed=3) != text.corpus(20_000, seed=4)
    assert set(whole) <= set(text.alphabet())
    pairs = {")": "(", "]": "[", ">": "<"}
    for part in whole.split(". ")[:-1]:
        if "=" in part:
            left, right = part.split("=")
            assert eval(left) == int(right)
        elif part and part[0] in "([<":
            opened = []
            for letter in part:
                if letter in pairs:
                    assert opened.pop() == pairs[letter]
                else:
                    opened.append(letter)
            assert not opened
    contexts, targets = text.windows(text.encoded("abcde", "abcde"), 3)
    assert contexts.tolist() == [[0, 1, 2], [1, 2, 3]]
    assert targets.tolist() == [3, 4]


def test_a_small_run_learns_and_rounding_takes_from_it():
    plan = Plan(60, 32, characters=20_000, held_out=1000, seeds=2, tuning_seeds=1, width=32)
    told = []
    result = run(plan, told.append)
    assert (result.given_up == run(plan).given_up).all()
    assert result.given_up.shape == (2, 2, len(GROUPS), len(BITS))
    assert (result.full < 3.0).all()  # ln 44 = 3.78 where nothing is learned
    eight, four, three = result.given_up[:, :, 0].mean((0, 1))
    assert abs(eight) < four < three
    assert len(told) == 10 + 4
    assert mean_and_error(np.array([1.0, 3.0])) == pytest.approx((2.0, 1.0))
