"""Computed tables: windows over a feed's trades in event time, written as records to topics of their own."""
