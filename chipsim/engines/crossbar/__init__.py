"""Engines of one crossbar core: ODIN and tinyODIN."""
