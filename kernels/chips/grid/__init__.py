"""A grid of crossbar cores with routers (TrueNorth-class)."""
