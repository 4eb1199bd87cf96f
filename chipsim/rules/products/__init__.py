"""Loihi's sums of products: the grammar, the rule, the engine's state."""
