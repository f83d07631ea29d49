"""Times, durations and the lengths of klines."""
