"""Grids of runs, their records, and tables of them."""
