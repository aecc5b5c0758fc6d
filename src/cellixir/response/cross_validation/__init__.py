"""The response benchmark: models by name, cross-validation, tables and pages."""
