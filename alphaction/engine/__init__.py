"""Training and testing loops."""
