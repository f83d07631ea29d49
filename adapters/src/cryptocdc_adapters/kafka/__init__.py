"""Kafka: clients and topics, offsets and lag, membership of a group, reading records."""
