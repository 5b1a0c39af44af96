"""The detection model."""

from .action_detector import ActionDetector, build_detection_model

__all__ = ["ActionDetector", "build_detection_model"]
