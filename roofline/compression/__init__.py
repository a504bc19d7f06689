"""Recipes of compression: what each leaves of a model, what it runs at, what it costs to make."""
