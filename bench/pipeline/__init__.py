"""The platform, the pipelines and the load that are measured."""
