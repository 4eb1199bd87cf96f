"""Kernels that are one chip's RTL each, and say so by name; everything else in `kernels` names no chip."""
