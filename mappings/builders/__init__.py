"""Spiking networks made from something else: ReLU layers, automata, an e-prop layer. Imports compiler, network."""
