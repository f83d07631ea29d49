"""`cryptocdc trace`: follows one row through every hop, reading from each place directly."""
