"""Checkpoints, processes and logs of a run."""
