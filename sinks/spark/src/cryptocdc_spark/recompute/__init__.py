"""Computed tables over any range of stored rows, by a Spark job: `cryptocdc analyze recompute`."""
