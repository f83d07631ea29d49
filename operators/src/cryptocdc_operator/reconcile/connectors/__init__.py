"""A feed's connectors: applied, recovered, changed in number, removed."""
