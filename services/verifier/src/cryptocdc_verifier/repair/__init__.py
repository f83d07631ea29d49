"""Sending differing rows again, where that is harmless."""
