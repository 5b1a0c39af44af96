"""Settings of the environment apply to every test of a pytest process."""

from torch_settings import apply_environment

apply_environment()
