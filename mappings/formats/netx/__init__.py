"""NetX files of lava-dl, in and out."""
