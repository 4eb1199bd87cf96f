"""ReckOn: its state, one tick, events and its e-prop."""
