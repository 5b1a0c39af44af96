"""Processes, devices, logs and files of a run."""
