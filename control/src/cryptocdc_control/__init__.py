"""What the local runner and the operator decide alike: a feed's programs, and what its connector needs. Pure."""
