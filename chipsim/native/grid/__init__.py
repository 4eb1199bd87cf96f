"""Registers and memories of a grid of crossbar cores (`cs.truenorth`)."""
