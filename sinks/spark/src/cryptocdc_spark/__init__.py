"""Spark jobs: Kafka into Cassandra by Structured Streaming, and computed tables over any time range."""
