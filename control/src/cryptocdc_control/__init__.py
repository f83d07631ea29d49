"""Decisions that the local runner and the operator share: a feed's programs, and the recovery of its connector.
Pure."""
