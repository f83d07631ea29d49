"""Thin clients of PostgreSQL, Cassandra, Kafka, Kafka Connect and the exchange."""
