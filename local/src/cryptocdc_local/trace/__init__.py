"""`cryptocdc trace`: one row followed through every hop, each asked itself."""
