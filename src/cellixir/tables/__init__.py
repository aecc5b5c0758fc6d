"""Any table of numbers and categories: models, benchmark and report."""
