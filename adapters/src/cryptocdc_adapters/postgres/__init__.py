"""PostgreSQL: connections and schema, writing rows, and the tables of proofs and of an archive's files."""
