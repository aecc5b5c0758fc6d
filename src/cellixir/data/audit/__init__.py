"""The leakage audit, of responses with their folds and of any table."""
