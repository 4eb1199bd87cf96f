"""E-prop of a whole network: the rule, its groups, losses, rewards, off chip and online."""
