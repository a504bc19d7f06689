"""Diffusion language models: how they decode, what that costs, and voting over their samples."""
