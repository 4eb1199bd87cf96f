"""Engines: what advances the state of one family of chips."""
