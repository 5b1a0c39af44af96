"""The detection model."""

from .action_detector import ActionDetector, PooledFeatures, TrainOutput, build_detection_model

__all__ = ["ActionDetector", "PooledFeatures", "TrainOutput", "build_detection_model"]
