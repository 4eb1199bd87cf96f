"""ODIN and tinyODIN: neurons and the event loop."""
