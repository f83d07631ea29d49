"""Where a feed's rows are stored: the tables' DDL, shards, Kafka's partitions, windows of time, Parquet files."""
