"""Benchmarks of the pipeline on this machine, compared with one built as in tutorials."""
