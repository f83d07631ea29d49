"""The Kubernetes objects of a feed, built from its plan. Pure."""
