"""From a window of frames to the clips that the network reads."""

from .thermal import ThermalTransform
from .video import VideoTransform

__all__ = ["ThermalTransform", "VideoTransform"]
