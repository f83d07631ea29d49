"""One handler for each stream, and the pure state machines behind them."""
