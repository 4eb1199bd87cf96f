"""`compile` and its passes. Imports its rooms, network."""
