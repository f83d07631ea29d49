"""Proofs of computed tables: each row is computed again from stored ones and compared."""
