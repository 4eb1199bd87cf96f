"""Registers and memories of ReckOn (`cs.reckon` is its neurons)."""
