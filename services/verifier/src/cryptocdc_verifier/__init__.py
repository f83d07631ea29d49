"""PostgreSQL = Cassandra, proven on demand and continuously."""
