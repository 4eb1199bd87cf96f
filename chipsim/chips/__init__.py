"""What a chip is, as data: schema, costs, arithmetic, reading; the descriptions themselves. Imports the ground."""
