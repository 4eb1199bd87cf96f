"""Random networks beside the tools whose arithmetic the emulator claims, bit for bit.

`pytest tests/differential` runs a few fixed seeds of every kind; `--many N` runs N of each. Tools that are not
installed are named in the skip message: Lava, nengo-loihi, brian2-loihi and NEST live in the environment of `.ci/lava`.
"""
