"""The whole model: backbone and action head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from ...structures.bounding_box import BoxList
from ...structures.memory_pool import MemoryPool
from ..backbone import build_backbone
from ..roi_heads.action_head import ActionHead, build_action_head


class ActionDetector(nn.Module):
    """Scores the actions of given persons.

    Args:
        backbone: (slow, fast) clip -> (slow, fast) features.
        head: the action head; its entries are named ``roi_heads.action.*``.
        loss_weights: loss name -> factor in the total loss.

    Attributes:
        has_memory: the model reads a memory pool; testing then needs two stages.
        has_objects: the model reads object boxes.
    """

    def __init__(self, backbone: nn.Module, head: ActionHead, loss_weights: dict[str, float]) -> None:
        super().__init__()
        self.backbone = backbone
        self.roi_heads = nn.ModuleDict({"action": head})
        self.loss_weights = loss_weights
        ia = head.feature_extractor.ia_structure
        self.has_memory = ia is not None and ia.mem_dim_reduce is not None
        self.has_objects = ia is not None and ia.object_dim_reduce is not None

    def forward(
        self,
        slow: Tensor | None,
        fast: Tensor | None,
        boxes: Sequence[BoxList],
        objects: Sequence[BoxList] | None = None,
        extras: Sequence[dict] | None = None,
        memory: MemoryPool | None = None,
        current_loss: float | None = None,
        part_forward: int = -1,
    ):
        """One batch.

        Args:
            slow, fast: normalised clips [B, 3, Ts, H, W] and [B, 3, Tf, H, W].
            boxes: persons of each clip in pixels of the clip; in training with the field ``labels``
                [n, NUM_CLASSES]. With ``part_forward`` 1 what ``part_forward`` 0 returned; a clip may have none.
            objects: object boxes of each clip, or None.
            extras: per clip ``movie_id``, ``timestamp`` (key in the memory) and ``second`` (default: timestamp).
            memory: None is an empty pool.
            current_loss: training: total loss of the last iteration, for the memory's penalty; None: not known.
            part_forward: testing: -1 everything, 0 only pooled features, 1 only scores from those features.

        Returns:
            Training: (losses, metrics, pooled). ``losses`` are unweighted scalars, see ``loss_weights``; ``pooled`` are
            the boxes trained on, with the detached field ``pooled_feature`` [n, C, 1, 1, 1] (without IA an empty list).
            Testing: -1 and 1: boxes as given with the field ``scores`` [n, NUM_CLASSES], one BoxList per clip;
            0: (persons, objects or None) with the field ``pooled_feature``.
        """
        head = self.roi_heads["action"]
        if self.training:
            features = self.backbone(slow, fast)
            return head.forward_train(features, boxes, objects, extras, memory, current_loss)
        if part_forward == 1:
            return head.forward_score(boxes, objects, extras, memory)
        persons, pooled_objects = head.forward_pool(self.backbone(slow, fast), boxes, objects)
        if part_forward == 0:
            return persons, pooled_objects
        return head.forward_score(persons, pooled_objects, extras, memory)


def build_detection_model(cfg: Any) -> ActionDetector:
    """The model that a configuration describes, randomly initialised, on the CPU, in training mode.

    Raises:
        UserError: keys that do not fit together.
    """
    backbone = build_backbone(cfg)
    head = build_action_head(cfg, backbone.out_channels)
    keys = cfg.MODEL.ROI_ACTION_HEAD
    weights = {
        "loss_pose_action": keys.POSE_LOSS_WEIGHT,
        "loss_object_interaction": keys.OBJECT_LOSS_WEIGHT,
        "loss_person_interaction": keys.PERSON_LOSS_WEIGHT,
    }
    return ActionDetector(backbone, head, weights)
