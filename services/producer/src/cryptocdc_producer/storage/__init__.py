"""What goes to PostgreSQL, what is there already, and what is refused."""
