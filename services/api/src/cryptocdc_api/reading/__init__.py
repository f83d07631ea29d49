"""Cassandra, read in bounded pages; answers kept for a moment."""
