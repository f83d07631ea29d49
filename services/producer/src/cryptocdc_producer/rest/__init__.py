"""Requests over REST: polling, snapshots of order books, gaps, stretches of the past."""
