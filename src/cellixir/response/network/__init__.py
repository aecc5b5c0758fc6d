"""The network of drug response: two towers, a committee, a linear part in closed form."""
