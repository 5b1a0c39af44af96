"""Predictions as files and pictures."""
