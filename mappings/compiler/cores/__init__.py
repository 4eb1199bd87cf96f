"""Which neurons share a core, which core where, what each must hold. Imports network, native, chips."""
