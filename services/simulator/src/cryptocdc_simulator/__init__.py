"""Exchanges that speak the protocols of several venues over simulated markets, and the replay of captures."""
