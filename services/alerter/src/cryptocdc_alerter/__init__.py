"""Market alerts: prices from Kafka held against a feed's conditions; records, a metric, a webhook."""
