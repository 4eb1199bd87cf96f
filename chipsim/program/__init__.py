"""What a chip loads, frozen; saves and loads itself. Imports native, chips, storage."""
