"""Plain, slow, independent versions of what the package computes."""
