"""An exchange that speaks Binance, and the replay of captures."""
