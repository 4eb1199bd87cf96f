"""Experiments as functions: each takes its settings and a progress callback, and returns a result with its
loss curve.
"""
