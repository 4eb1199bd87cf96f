"""What people read: facts as data, the page, tables of chips and rules. Imports estimate, run, plots, rules."""
