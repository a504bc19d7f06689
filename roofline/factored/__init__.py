"""Formulas followed over a grid: worked out once per distinct value, and recorded beyond that."""

from roofline.factored.quantity import Grid, Quantity, recorded, rising

__all__ = ["Grid", "Quantity", "recorded", "rising"]
