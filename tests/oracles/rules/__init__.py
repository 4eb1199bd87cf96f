"""One learning rule a file: equation, source, kernel."""
