"""Engine of ReckOn."""
