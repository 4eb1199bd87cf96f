"""Other simulators on the same workloads: each module builds one and returns a function that runs it."""
