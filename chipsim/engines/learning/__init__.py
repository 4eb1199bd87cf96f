"""Learning while a program runs: one learner a kind of rule, lessons, episodes."""
