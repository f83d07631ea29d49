"""A row on its way: typed, as a change record, its version, and its trace through every hop."""
