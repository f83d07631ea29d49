"""Grafana dashboards: `python -m cryptocdc_grafana` writes them as JSON."""
