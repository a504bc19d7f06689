"""From published measurements to efficiencies, and how far predictions lie from rows."""
