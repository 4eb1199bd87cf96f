"""chipsim: a neuromorphic chip on a laptop."""
