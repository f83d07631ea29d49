"""The dashboards of programs and servers, from Prometheus."""
