import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spec_files import DIMENSIONS, SpecError, format_quantity, parse_quantity
from spec_files.quantities import _PLAUSIBLE


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("76.8 GB/s", "bandwidth", 76.8e9),
        ("50ms", "time", 0.05),
        ("5 us", "time", 5e-6),
        ("5 µs", "time", 5e-6),
        ("4GB", "bytes", 4_000_000_000.0),
        ("4 GiB", "bytes", 4_294_967_296.0),
        ("12 kB", "bytes", 12_000.0),
        ("12 KiB", "bytes", 12_288.0),
        ("312 TFLOP/s", "compute", 312e12),
        ("312 TFLOPS", "compute", 312e12),
        ("85 TOPS", "compute", 85e12),
        ("0.085 POP/s", "compute", 85e12),
        ("2 GFLOP", "flops", 2e9),
        ("300 mW", "power", 0.3),
        ("300 MW", "power", 3e8),
        ("1.5 uJ", "energy", 1.5e-6),
        ("0.19 nJ/B", "energy_per_byte", 0.19e-9),
        ("1.6 pJ/FLOP", "energy_per_flop", 1.6e-12),
        ("72 %", "ratio", 0.72),
        (0.72, "ratio", 0.72),
        ("1e-3 s", "time", 1e-3),
        ("0 ms", "time", 0.0),
        ("3 gb/s", "bandwidth", 3e9),  # can only be GB/s
    ],
)
def test_units_against_hand_values(text, dimension, value):
    assert parse_quantity(text, dimension) == value


@pytest.mark.parametrize(
    ("text", "dimension", "says"),
    [
        (76.8, "bandwidth", "has no unit: write e.g. '76.8 GB/s'"),
        ("76.8", "bandwidth", "has no unit"),
        ("3 GB", "bandwidth", "a quantity of bytes, not of bandwidth"),
        ("0.7 GB", "ratio", "a quantity of bytes, not of ratio"),
        ("3 GB/sec", "bandwidth", "nearest is 'GB/s'"),
        ("3 Gb/s", "bandwidth", "nearest is 'GB/s'"),  # gigabits: never read as gigabytes
        ("3 mw", "power", "unknown unit 'mw'"),  # milli or mega
        ("3 MS", "time", "nearest is 'ms'"),
        ("-3 GB", "bytes", "is negative"),
        (-0.5, "ratio", "is negative"),
        (math.nan, "ratio", "not a finite number"),
        ("nan GB", "bytes", "not a finite number"),
        (math.inf, "ratio", "not a finite number"),
        ("1e999 GB", "bytes", "not a finite number"),
        ("1e999999999999 GB", "bytes", "not a finite number"),
        ("fast", "bandwidth", "is not a quantity"),
        ("1,024 GB", "bytes", "unknown unit"),
        ("", "time", "is not a quantity"),
        (True, "ratio", "read True"),
        (None, "time", "read None"),
        ("1e-300 GB/s", "bandwidth", "'1e-300 GB/s' is beyond what is plausible, 1 B/s to 1000000"),
        ("1e30 TB", "bytes", "'1e30 TB' is beyond what is plausible, 1 B to"),
        ("1e-300 s", "time", "is beyond what is plausible, 0.000001 ns to"),
        (1e-300, "ratio", "'1e-300' is beyond what is plausible, 1e-9 to"),
        ("1 " + "x" * 5000, "time", "xxx...: unknown unit 'xxx"),
        ([1], "time", "read [1]"),
    ],
)
def test_bad_quantities(text, dimension, says):
    with pytest.raises(SpecError) as error:
        parse_quantity(text, dimension)
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    ("value", "dimension", "text"),
    [
        (76.8e9, "bandwidth", "76.8 GB/s"),
        (999.9996e6, "bytes", "1 GB"),
        (0.0123456, "time", "12.3 ms"),
        (312e12, "compute", "312 TFLOP/s"),
        (0.0, "energy", "0 J"),
        (0.725, "ratio", "0.725"),
        (1.9e-10, "energy_per_byte", "190 pJ/B"),
    ],
)
def test_format(value, dimension, text):
    assert format_quantity(value, dimension) == text


@given(st.floats(0, 1), st.sampled_from(DIMENSIONS), st.integers(1, 12))
def test_round_trip(share, dimension, digits):
    low, high = _PLAUSIBLE[dimension]
    value = min(low * (high / low) ** share, high)
    exact = parse_quantity(format_quantity(value, dimension, digits=None), dimension)
    assert exact == value
    printed = parse_quantity(format_quantity(value, dimension, digits), dimension)
    assert printed == pytest.approx(value, rel=0.5 * 10.0 ** (1 - digits) * (1 + 1e-9))


@given(st.text(max_size=20), st.sampled_from(DIMENSIONS))
def test_any_text_is_a_number_or_a_spec_error(text, dimension):
    try:
        value = parse_quantity(text, dimension)
    except SpecError:
        return
    assert math.isfinite(value)
    assert value >= 0


def test_import_is_light():
    check = (
        "import sys, spec_files, hardware_specs;"
        "print([m for m in ('pydantic', 'yaml', 'numpy') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
