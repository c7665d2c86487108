"""Intervals, and what they say about the claims of the thesis."""
