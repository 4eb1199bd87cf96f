"""Lava: a network as processes, or as a script that makes them."""
