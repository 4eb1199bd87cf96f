"""Loihi's learning engine: sums of products in integers and in floats."""
