"""The exchange into PostgreSQL: capture, gaps and backfill."""
