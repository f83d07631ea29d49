"""The servers as processes: each one's configuration and start, supervised together."""
