"""The shipped weights, and how a run becomes one of them."""
