"""PyTorch modules and the spiking libraries on top of it."""
