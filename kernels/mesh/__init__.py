"""Packets on a mesh of cores. Imports the ground of kernels only."""
