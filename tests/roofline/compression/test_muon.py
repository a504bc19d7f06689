"""Muon and Adam in numpy against torch.optim, singular values, and counted products."""

import numpy as np
import pytest

from roofline.compression import muon
from roofline.compression.muon import Adam, Muon, newton_schulz, newton_schulz_flops

SHAPES = [(64, 64), (48, 96), (128, 32), (1, 16)]


def random_matrix(rows, columns, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, columns))


@pytest.mark.parametrize("shape", SHAPES)
def test_singular_values_come_near_one_in_five_steps(shape):
    values = np.linalg.svd(newton_schulz(random_matrix(*shape)), compute_uv=False)
    before = np.linalg.svd(random_matrix(*shape), compute_uv=False)
    large = before / np.linalg.norm(before) > 0.01
    assert large.mean() > 0.9
    assert values[large].min() > 0.67
    assert values.max() < 1.21


@pytest.mark.parametrize("shape", SHAPES)
def test_singular_vectors_stay(shape):
    """The polar factor has the same vectors: U' X V is diagonal, and X X' near a projector."""
    matrix = random_matrix(*shape)
    left, _, right = np.linalg.svd(matrix, full_matrices=False)
    inside = left.T @ newton_schulz(matrix) @ right.T
    off = inside - np.diag(np.diag(inside))
    assert np.abs(off).max() < 1e-9
    assert (np.diag(inside) > 0).all()


def test_the_size_of_the_gradient_does_not_matter():
    matrix = random_matrix(24, 40)
    assert newton_schulz(1e6 * matrix) == pytest.approx(newton_schulz(matrix), rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("shape", SHAPES)
def test_flops_are_those_of_the_products(shape):
    """Every product of the iteration counted by numpy itself."""

    class Counting(np.ndarray):
        total = 0

        def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
            plain = [np.asarray(each) for each in inputs]
            if ufunc is np.matmul:
                (m, k), n = plain[0].shape, plain[1].shape[1]
                Counting.total += 2 * m * k * n
            return getattr(ufunc, method)(*plain, **kwargs).view(Counting)

    Counting.total = 0
    newton_schulz(random_matrix(*shape).view(Counting))
    assert Counting.total == newton_schulz_flops(*shape)
    m, n = min(shape), max(shape)
    assert newton_schulz_flops(*shape) == 5 * (4 * m * m * n + 2 * m**3)


def test_the_scale_is_of_tall_matrices():
    assert muon.scale(4, 16) == 1
    assert muon.scale(64, 16) == 2


@pytest.mark.parametrize("shape", [(48, 96), (96, 24)])
def test_muon_moves_as_torch_does(shape):
    torch = pytest.importorskip("torch")
    start = random_matrix(*shape, seed=1)
    theirs = torch.nn.Parameter(torch.tensor(start))
    optimiser = torch.optim.Muon([theirs], lr=0.02, weight_decay=0.1, momentum=0.95)
    weights, mine = {"w": start.copy()}, Muon(0.02, decay=0.1)
    for step in range(4):
        gradient = random_matrix(*shape, seed=10 + step)
        theirs.grad = torch.tensor(gradient)
        optimiser.step()
        mine.step(weights, {"w": gradient})
    # torch iterates in bfloat16, of 8 bits: the moves agree to a few percent
    moved, expected = weights["w"] - start, theirs.detach().numpy() - start
    cosine = (moved * expected).sum() / np.linalg.norm(moved) / np.linalg.norm(expected)
    assert cosine > 0.999
    assert np.linalg.norm(moved) / np.linalg.norm(expected) == pytest.approx(1, abs=0.02)


def test_adam_moves_as_torch_does():
    torch = pytest.importorskip("torch")
    start = random_matrix(8, 5, seed=1)
    theirs = torch.nn.Parameter(torch.tensor(start))
    optimiser = torch.optim.AdamW([theirs], lr=0.02, betas=(0.9, 0.95), weight_decay=0.1)
    weights, mine = {"w": start.copy()}, Adam(0.02, decay=0.1)
    for step in range(5):
        gradient = random_matrix(8, 5, seed=10 + step)
        theirs.grad = torch.tensor(gradient)
        optimiser.step()
        mine.step(weights, {"w": gradient})
    assert weights["w"] == pytest.approx(theirs.detach().numpy(), rel=1e-9)


def test_muon_keeps_half_of_adams_state():
    gradients = {"w": random_matrix(6, 9)}
    first, second = Muon(0.1), Adam(0.1)
    first.step({"w": np.zeros((6, 9))}, gradients)
    second.step({"w": np.zeros((6, 9))}, gradients)
    assert (first.state_numbers, second.state_numbers) == (54, 108)
