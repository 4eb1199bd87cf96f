"""One neuron model a file. Imports arithmetic."""
