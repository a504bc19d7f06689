"""A loss is printed with a few decimals, and never as zero where it is not."""

import pytest

from roofline.laws.law import format_loss


@pytest.mark.parametrize(
    ("value", "decimals", "printed"),
    [
        (3.14159, 4, "3.1416"),
        (0.0, 4, "0.0000"),
        (8e-6, 4, "8.00e-06"),
        (-8e-6, 3, "-8.00e-06"),
        (0.0123, 4, "0.0123"),
        (0.00051, 4, "0.0005"),
    ],
)
def test_a_loss_is_never_printed_as_zero(value, decimals, printed):
    assert format_loss(value, decimals) == printed
