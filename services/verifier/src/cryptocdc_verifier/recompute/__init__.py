"""The computed tables' rows from stored ones, computed plainly, by other code than the analyzer's. Pure."""
