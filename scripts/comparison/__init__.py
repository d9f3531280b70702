"""Compare with other ways to run the same encoder, in an environment that has them."""
