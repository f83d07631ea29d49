"""Continuous proof: every slice of time once, soon after it has passed."""
