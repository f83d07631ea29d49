"""Kafka into Cassandra: changes, dead letters and their replay."""
