"""Ranking of drugs for new samples, from a bundle."""
