"""The head that classifies the actions of persons."""

from .action_head import ActionHead, build_action_head

__all__ = ["ActionHead", "build_action_head"]
