"""The venues that the simulator implements, each a folder; `port.py` is the contract of a dialect."""
