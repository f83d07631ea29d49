"""The CryptoFeed on Kubernetes."""
