"""What budgets of time and memory allow: the co-design law's theory beside search and engine.

The theory's formulas are in `closed_forms`, any number of budgets within ranges in `prices`, the
optimiser in `continuous`, the search in `discrete`; `answer` puts them side by side.
"""
