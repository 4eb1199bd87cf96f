"""Fixed point, rounding, random streams, traces and surrogates. Imports the ground of kernels only."""
