"""A handler for each stream, and the pure state machines that they use."""
