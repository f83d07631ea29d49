"""Writing to PostgreSQL, reading what is stored, and keeping what is refused."""
