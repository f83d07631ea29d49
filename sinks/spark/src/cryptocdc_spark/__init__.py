"""Kafka into Cassandra by a Spark Structured Streaming job."""
