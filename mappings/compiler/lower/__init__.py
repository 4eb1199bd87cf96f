"""Whole networks onto one-core chips (crossbar, ReckOn, Xylo). Imports network, engines."""
