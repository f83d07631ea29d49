"""The symbols that this producer captures, and the states of their markets."""
