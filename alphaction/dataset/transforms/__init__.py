"""What happens to a clip between the file and the network."""

from .thermal import ThermalTransform

__all__ = ["ThermalTransform"]
