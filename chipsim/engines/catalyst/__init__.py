"""Engines of the Catalyst N1: the bare chip, its host interface, and programs of networks."""
