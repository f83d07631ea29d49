"""Kubernetes' API: the port and its implementation, secrets, and finalizers."""
