"""Networks from other tools, one file per tool; each imports its tool only when called."""
