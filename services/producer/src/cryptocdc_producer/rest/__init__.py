"""Requests over REST: polling, order-book snapshots, gaps, backfill of time ranges."""
