"""Thermal recordings in MMAction2: data sets, transforms, a metric and a hook, registered by importing this package.

In a configuration: ``custom_imports = dict(imports=["mmaction2_thermal"])``. The import also makes MMAction2 work with
current PyTorch, see :mod:`mmaction2_thermal.compat`.
"""

from . import compat

compat.apply()

from .datasets import ThermalActionDataset, ThermalHDF5Dataset  # noqa: E402
from .hooks import ThermalClassWeights  # noqa: E402
from .metrics import ThermalMeanAP  # noqa: E402
from .transforms import (  # noqa: E402
    ScaleTemperature,
    ThermalBrightnessContrast,
    ThermalFlip,
    ThermalRandomErasing,
    ThermalRandomResizedCrop,
    ThermalResize,
)

__all__ = [
    "ScaleTemperature", "ThermalActionDataset", "ThermalBrightnessContrast", "ThermalClassWeights", "ThermalFlip",
    "ThermalHDF5Dataset", "ThermalMeanAP", "ThermalRandomErasing", "ThermalRandomResizedCrop", "ThermalResize",
]  # fmt: skip
