"""Cross-study evaluation: models fitted on one study and judged on another."""
