"""Both databases' rows in one canonical form, and the comparison of one table."""
