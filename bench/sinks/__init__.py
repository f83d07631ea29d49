"""`make bench-sinks`: what writes from Kafka into Cassandra, compared in one run."""
