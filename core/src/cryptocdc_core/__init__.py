"""The feed, the stream catalogue, the plan and the decoding of changes: pure."""
