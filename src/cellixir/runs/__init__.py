"""Runs of pieces of work, models of one's own, and validation over splits of the package."""
