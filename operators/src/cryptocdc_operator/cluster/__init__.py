"""Kubernetes' API: the port, its implementation, and what is read and released by it."""
