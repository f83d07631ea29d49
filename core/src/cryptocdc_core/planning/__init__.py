"""From a feed to the plan of everything that must exist for it: resolved symbols, connectors, the platform."""
