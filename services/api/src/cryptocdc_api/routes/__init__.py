"""The endpoints: what each path answers."""
