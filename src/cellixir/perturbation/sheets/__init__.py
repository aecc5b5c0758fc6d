"""Sample sheets of published studies."""
