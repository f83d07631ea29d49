"""Figures computed from candles, order books and statistics. Pure."""
