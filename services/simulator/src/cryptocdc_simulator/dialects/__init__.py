"""The venues that the simulator speaks as, each a folder: `port.py` says what a dialect is."""
