"""Kernels that are one chip's RTL, and say so by name. Imports arithmetic."""
