"""New rows from Kafka, and the clients that are subscribed to them."""
