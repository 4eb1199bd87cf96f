"""Catalyst N1, an open Loihi-class chip: a core's timestep and three interconnects, with every bit and cycle."""
