"""What the methods of quantising and pruning compute over their calibration text."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from roofline.compression.subject import Subject
from spec_files import read_yaml, validate_spec
from spec_files.model import Spec

_FILE = Path(__file__).parent / "calibration.yaml"


class Calibration(Spec):
    """What a method runs."""

    sequences: int
    length: int
    times: int
    passes: int
    hessian: bool
    source: str
    date: str


@cache
def calibrations() -> dict[str, Calibration]:
    """Return what each method runs, by its name."""
    data, _ = read_yaml(_FILE)
    return {name: validate_spec(entry, Calibration, str(_FILE)) for name, entry in data.items()}


def flops(method: str, subject: Subject) -> float:
    """Return FLOPs that a method takes on a model.

    Passes over its text; and where it uses the Hessian of a matrix of n inputs and m outputs: 2 n^2
    a token to gather it, 4/3 n^3 for its inverse's Cholesky factor, m n^2 to carry errors over.
    """
    run = calibrations()[method]
    tokens = run.sequences * run.length
    total = run.times * run.passes * tokens * subject.forward_flops
    if run.hessian:
        for tensor in subject.matrices.values():
            inputs, outputs = float(tensor.inputs[0]), float(tensor.outputs[0])
            each = 2 * tokens * inputs**2 + 4 / 3 * inputs**3 + outputs * inputs**2
            total += float(tensor.copies[0]) * each
    return float(total)
