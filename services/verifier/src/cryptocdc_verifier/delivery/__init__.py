"""Waiting until everything before an LSN has reached Cassandra."""
