"""Cassandra over HTTP, changes over WebSocket."""
