"""What silicon does, as Numba functions over arrays: no classes beyond records, no I/O, no chip names."""

from .cache import install

install()
