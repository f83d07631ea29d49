"""The commands `cryptocdc history load` and `history list`: past days from the exchange's public archive."""
