"""Cassandra → Parquet files, with the proofs that they rest on."""
