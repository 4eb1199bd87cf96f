"""NIR graphs, in and out, with the schemes by which tools read them."""
