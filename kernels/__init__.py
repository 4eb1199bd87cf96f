"""What silicon does, as Numba functions over arrays: no classes beyond records, no I/O. Imported as `chipsim.kernels`.

General kernels name no chip; those in `chips` are one chip's RTL each. Nothing here imports another part of chipsim.
"""

if __name__ == "chipsim.kernels":
    from .cache import install, refuse_uncompiled

    install()
    refuse_uncompiled()
else:
    from chipsim.namesake import give_way

    give_way(__name__, __file__)
