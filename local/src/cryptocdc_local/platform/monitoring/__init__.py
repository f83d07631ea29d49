"""Grafana and Prometheus, where they are installed."""
