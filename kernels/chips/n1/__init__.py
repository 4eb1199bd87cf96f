"""Catalyst N1, an open Loihi-class chip: one core's timestep and three interconnects, bit for bit and cycle for cycle."""
