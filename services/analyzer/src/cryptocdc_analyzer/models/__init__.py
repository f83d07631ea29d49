"""Anomalies and forecasts: what river's models learn from, and what they say."""
