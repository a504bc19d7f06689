"""The formulas: one module a form, one subclass of `Law` in it."""
