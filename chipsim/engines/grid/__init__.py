"""Engine of a grid of crossbar cores (TrueNorth-class)."""
