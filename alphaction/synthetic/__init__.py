"""Synthetic thermal scenes with annotations."""
