"""Data sets as tensors with a known origin."""
