"""Registers, events and memories of ODIN and tinyODIN."""
