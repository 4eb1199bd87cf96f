"""Floats to a chip's numbers. Imports network, native, chips, rules."""
