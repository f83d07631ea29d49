"""The CryptoFeed's model: what a user writes, its defaults, its validation and the messages about errors."""
