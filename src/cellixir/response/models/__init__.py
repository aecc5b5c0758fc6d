"""Models of drug response beside the network: naive baselines, ridge regression, tree ensembles, and their features."""
