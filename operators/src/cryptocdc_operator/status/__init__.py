"""The status of a CryptoFeed: its model, its conditions, and the patch that writes it. Pure."""
