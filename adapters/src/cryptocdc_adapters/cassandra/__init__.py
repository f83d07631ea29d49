"""Cassandra: sessions and schema, and reading rows as bytes or with their audit."""
