"""What the pipeline can do on this machine, beside the way that tutorials show."""
