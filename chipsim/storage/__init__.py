"""Any value to HDF5 and back; knows no program and no result. Imports native, rules."""
