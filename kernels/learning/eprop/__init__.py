"""E-prop: the adjoint form, and traces carried forward in floats, fixed point and online."""
