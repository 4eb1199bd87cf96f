"""A program as the flat arrays that the time-step kernels work on."""
