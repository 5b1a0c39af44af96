"""Weights of other model zoos: where they are, how they become ours."""
