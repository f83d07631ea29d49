"""The fault matrix: named faults under load, each with its declared outcome. See docs/faults.md."""
