"""Yardsticks for contribution scores: Shapley values of accuracy. Not proven, and nothing proven depends on them."""
