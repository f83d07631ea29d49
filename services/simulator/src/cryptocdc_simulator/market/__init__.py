"""The simulated market: pure functions of (seed, symbol, time). No clock of its own, no I/O."""
