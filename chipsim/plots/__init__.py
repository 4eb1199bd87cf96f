"""Plain data in, a figure out. Imports the ground."""
