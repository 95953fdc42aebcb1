"""Sparseness and dropout tuned during one training run, by a surrogate network."""
