"""Loads files of an exchange's public archive into the feed's change topics."""
