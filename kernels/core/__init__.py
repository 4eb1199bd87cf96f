"""The time-step machine: records, the acts of a step, delivery, neurons. Imports arithmetic."""
