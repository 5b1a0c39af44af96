"""The whole model: backbone and action head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from ...annotations.class_settings import resolve_classes
from ...config.node import ConfigNode
from ...structures.bounding_box import BoxList
from ...structures.memory_pool import MemoryPool
from ..backbone import build_backbone
from ..backbone.common_blocks import Backbone
from ..roi_heads.action_head import ActionHead, PooledFeatures, TrainOutput, build_action_head
from ..roi_heads.action_head.memory_window import ClipExtras


class ActionDetector(nn.Module):
    """Scores the actions of given persons.

    Three calls: ``forward_train`` for a training iteration; ``pool_features``, then ``score``, for testing. A model
    with memory needs the features of all keyframes in the memory before it scores the first one. ``forward`` dispatches
    to these three, like AlphAction's; call it where the model is wrapped (``DistributedDataParallel``).

    Args:
        backbone: (slow, fast) clip -> (slow, fast) features.
        head: the action head; its state-dict entries are named ``roi_heads.action.*``.
        loss_weights: loss name -> factor in the total loss.

    Attributes:
        has_memory: the model reads a memory pool.
        has_objects: the model reads object boxes.
    """

    def __init__(self, backbone: Backbone, head: ActionHead, loss_weights: dict[str, float]) -> None:
        super().__init__()
        self.backbone = backbone
        self.roi_heads = nn.ModuleDict({"action": head})
        self.loss_weights = loss_weights
        ia = head.feature_extractor.ia_structure
        self.has_memory = ia is not None and ia.mem_dim_reduce is not None
        self.has_objects = ia is not None and ia.object_dim_reduce is not None

    @property
    def head(self) -> ActionHead:
        return cast(ActionHead, self.roi_heads["action"])

    def forward_train(
        self,
        slow: Tensor | None,
        fast: Tensor | None,
        boxes: Sequence[BoxList],
        objects: Sequence[BoxList] | None = None,
        extras: Sequence[ClipExtras] | None = None,
        memory: MemoryPool | None = None,
        current_loss: float | None = None,
    ) -> TrainOutput:
        """Losses and metrics of one batch, in training mode.

        Boxes are jittered, and at most PROPOSAL_PER_CLIP of a clip are trained on; random numbers come from torch's
        global generator.

        Args:
            slow, fast: normalized clips [B, C, Ts, H, W] and [B, C, Tf, H, W]; None for a pathway that does not exist.
            boxes: persons of each clip in pixels of the clip, with the field ``labels`` [n, NUM_CLASSES], 0 or 1. A
                clip may have none.
            objects: object boxes of each clip in pixels, or None.
            extras: keyframe of each clip; None only without memory.
            memory: features of other keyframes; None is an empty pool.
            current_loss: weighted total loss of the previous iteration, for the memory's penalty; None: not known.

        Returns:
            unweighted losses (see ``loss_weights``), metrics, and the boxes trained on with their features.
        """
        features = self.backbone(slow, fast)
        return self.head.forward_train(features, boxes, objects, extras, memory, current_loss)

    def pool_features(
        self,
        slow: Tensor | None,
        fast: Tensor | None,
        boxes: Sequence[BoxList],
        objects: Sequence[BoxList] | None = None,
    ) -> PooledFeatures:
        """First half of testing: features of persons and objects.

        Args:
            slow, fast, objects: as in ``forward_train``.
            boxes: persons of each clip in pixels of the clip.

        Returns:
            persons and objects, boxes as given, with the field ``pooled_feature`` [n, C, 1, 1, 1].
        """
        return self.head.pool_features(self.backbone(slow, fast), boxes, objects)

    def score(
        self,
        persons: Sequence[BoxList],
        objects: Sequence[BoxList] | None = None,
        extras: Sequence[ClipExtras] | None = None,
        memory: MemoryPool | None = None,
    ) -> list[BoxList]:
        """Second half of testing: class probabilities.

        In evaluation mode nothing is drawn from torch's global generator, and the result of a keyframe does not depend
        on the rest of the batch.

        Args:
            persons, objects: result of ``pool_features``, on any device.
            extras, memory: as in ``forward_train``.

        Returns:
            one BoxList per clip, boxes as given, with the field ``scores`` [n, NUM_CLASSES] in 0..1 instead of
            ``pooled_feature``.
        """
        return self.head.score(persons, objects, extras, memory)

    def forward(
        self,
        slow: Tensor | None,
        fast: Tensor | None,
        boxes: Sequence[BoxList],
        objects: Sequence[BoxList] | None = None,
        extras: Sequence[ClipExtras] | None = None,
        memory: MemoryPool | None = None,
        current_loss: float | None = None,
        part_forward: int = -1,
    ) -> TrainOutput | PooledFeatures | list[BoxList]:
        """``forward_train`` in training mode; in evaluation mode as ``part_forward`` says.

        Args:
            part_forward: -1: ``pool_features``, then ``score``; 0: ``pool_features`` alone; 1: ``score`` alone, with
                ``boxes`` and ``objects`` from the call with 0.
        """
        if self.training:
            return self.forward_train(slow, fast, boxes, objects, extras, memory, current_loss)
        if part_forward == 1:
            return self.score(boxes, objects, extras, memory)
        pooled = self.pool_features(slow, fast, boxes, objects)
        return pooled if part_forward == 0 else self.score(*pooled, extras, memory)


def build_detection_model(cfg: ConfigNode) -> ActionDetector:
    """The model that a configuration describes, randomly initialized, on the CPU, in training mode.

    NUM_CLASSES 0 takes the classes of the first configured data set, see ``resolve_classes``.

    Raises:
        UserError: keys that do not fit together, or NUM_CLASSES 0 without a data set.
    """
    cfg = resolve_classes(cfg)
    backbone = build_backbone(cfg)
    head = build_action_head(cfg, backbone.out_channels, backbone.stride)
    keys = cfg.MODEL.ROI_ACTION_HEAD
    weights = {
        "loss_pose_action": keys.POSE_LOSS_WEIGHT,
        "loss_object_interaction": keys.OBJECT_LOSS_WEIGHT,
        "loss_person_interaction": keys.PERSON_LOSS_WEIGHT,
    }
    if keys.PLACE_PRIOR:
        weights["loss_place_prior"] = keys.PLACE_PRIOR
    return ActionDetector(backbone, head, weights)
