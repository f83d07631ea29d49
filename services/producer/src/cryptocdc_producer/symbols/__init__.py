"""Which symbols this producer captures, and the states of their markets."""
