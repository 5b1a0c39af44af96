"""AlphAction's place for the checkpointer."""

from ..checkpoints.checkpointer import ActionCheckpointer

__all__ = ["ActionCheckpointer"]
