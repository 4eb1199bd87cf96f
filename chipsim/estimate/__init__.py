"""Joules and seconds from counts, with sources. Imports run, program, chips, kernels.mesh."""
