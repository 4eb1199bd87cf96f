"""What goes into a run and what came out, counted. Imports engines, program, storage."""
