"""Preprocessing chains that are learned from training rows and keep the names of features."""
