# The names that __init__.py imports when they are first used, for type checkers.
from .config import get_cfg as get_cfg
from .config import load_cfg as load_cfg
from .dataset import make_data_loader as make_data_loader
from .errors import UserError as UserError
from .modeling.detector import build_detection_model as build_detection_model
from .predictor import ActionPredictor as ActionPredictor
from .recordings.recording import ThermalRecording as ThermalRecording
from .structures.bounding_box import BoxList as BoxList
from .utils.checkpoint import ActionCheckpointer as ActionCheckpointer

__version__: str
