"""What every program has: settings, logs, metrics, exit codes, delays between attempts."""
