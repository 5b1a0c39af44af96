"""What happens to a clip between the file and the network."""

from .thermal import ThermalTransform
from .video import VideoTransform

__all__ = ["ThermalTransform", "VideoTransform"]
