"""A feed's sink engine: one at a time."""
