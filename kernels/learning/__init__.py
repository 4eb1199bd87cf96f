"""Learning inside the step: declared rules, sums of products, PES, e-prop, perturbation. Imports core, arithmetic."""
