"""Spatio-temporal action detection: SlowFast and Interaction Aggregation, thermal first.

The names below are imported when they are first used, so that ``import alphaction`` is fast and needs no PyTorch.
"""

import importlib

__version__ = "0.1.0"

_MODULES = {
    "ActionPredictor": "alphaction.predictor",
    "ActionCheckpointer": "alphaction.utils.checkpoint",
    "BoxList": "alphaction.structures.bounding_box",
    "ThermalRecording": "alphaction.recordings.recording",
    "UserError": "alphaction.errors",
    "build_detection_model": "alphaction.modeling.detector",
    "get_cfg": "alphaction.config",
    "load_cfg": "alphaction.config",
    "make_data_loader": "alphaction.dataset",
}
__all__ = ["__version__", *_MODULES]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'alphaction' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
