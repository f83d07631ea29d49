"""The market dashboards: each panel with its query for each data source."""
