"""Market alerts: evaluates a feed's conditions on prices from Kafka; writes records, a metric and webhook requests."""
