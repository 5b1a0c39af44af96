"""Configuration tree: ``cfg`` (the global one), ``get_cfg()`` (a fresh copy), ``load_cfg()`` (merged and checked)."""

from .defaults import cfg, get_cfg
from .validate import load_cfg, validate

__all__ = ["cfg", "get_cfg", "load_cfg", "validate"]
