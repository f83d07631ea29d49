"""An exchange over HTTP: its REST API within its limits, whether it can be reached, and its archive's files."""
