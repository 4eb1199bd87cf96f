"""Grids over the fields of a chip. Imports chips, storage, plots."""
