"""The head that classifies the actions of persons."""

from .action_head import ActionHead, PooledFeatures, TrainOutput, build_action_head

__all__ = ["ActionHead", "PooledFeatures", "TrainOutput", "build_action_head"]
