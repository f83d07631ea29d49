"""Change data capture: Kafka Connect's REST API, replication slots, and both of a feed's shards."""
