"""What a user builds before any chip; network in, network out. Imports native, rules, storage."""
