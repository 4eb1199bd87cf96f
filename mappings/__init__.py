"""The way in and out: networks, readers, the passes of the compiler, writers."""
