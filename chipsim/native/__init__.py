"""Native neuron models and synapses: a chip's own registers by name, validated where they enter."""
