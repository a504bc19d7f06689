"""Published measurements: a table with its sources, how rows are read, and importers of others."""
