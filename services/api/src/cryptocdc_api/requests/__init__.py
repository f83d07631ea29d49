"""What every request goes through before its endpoint: token, rate limit, parameters."""
