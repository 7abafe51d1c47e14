"""How fast the product is, as ratios to its peers in one run. Never part of the tests."""
