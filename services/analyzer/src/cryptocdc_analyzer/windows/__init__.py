"""Windows of trades in event time, and what is computed of each. Pure."""
