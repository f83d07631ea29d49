"""The WebSocket connections."""
