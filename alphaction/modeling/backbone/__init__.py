"""Video backbones."""

from .backbone import build_backbone
from .slowfast import PathwayOptions, SlowFast, slowfast_r50_4x16, slowfast_r101_8x8

__all__ = ["PathwayOptions", "SlowFast", "build_backbone", "slowfast_r101_8x8", "slowfast_r50_4x16"]
