"""Spatio-temporal action detection: SlowFast and Interaction Aggregation, thermal first."""

__version__ = "0.1.0"
