"""What people ask of a model: workloads with weights, from published statistics of lengths."""

from roofline.mixes.mix import Mix, Part, load_mix, shipped_mixes

__all__ = ["Mix", "Part", "load_mix", "shipped_mixes"]
