"""Finite automata as spiking networks."""
