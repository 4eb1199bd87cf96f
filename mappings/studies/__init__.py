"""A network at work on a chip, measured. Imports formats, builders, compiler, network."""
