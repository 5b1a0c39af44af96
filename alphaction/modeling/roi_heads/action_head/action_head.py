"""Action head: boxes and feature maps -> region features -> class scores, or losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import roi_align, roi_pool

from ....config.node import ConfigNode
from ....errors import UserError
from ....structures.bounding_box import BoxList
from ....structures.memory_pool import MemoryPool
from ...precision import at_least_float32
from .interaction import IAOptions, IAStructure, build_ia_structure
from .losses import ActionLoss, ClassGroups, as_slice
from .memory_window import ClipExtras, subset

# Fractions of width and height by which sides of training boxes move: out and in, horizontally and vertically.
PROPOSAL_JITTER = (0.2, 0.1, 0.1, 0.05)

# Slow and fast feature map, [B, C, T, H, W]; None for a pathway that does not exist.
Features = Sequence[Tensor | None]


class TrainOutput(NamedTuple):
    """Result of a training iteration's forward pass.

    Attributes:
        losses: loss name -> unweighted scalar, differentiable.
        metrics: metric name -> scalar; empty for a batch without persons.
        pooled: per clip the boxes trained on, with the detached field ``pooled_feature`` [n, C, 1, 1, 1]; an empty list
            for a model without interaction aggregation.
    """

    losses: dict[str, Tensor]
    metrics: dict[str, Tensor]
    pooled: list[BoxList]


class PooledFeatures(NamedTuple):
    """Boxes as given, with the field ``pooled_feature`` [n, C, 1, 1, 1].

    Attributes:
        persons: one BoxList per clip.
        objects: likewise; None for a model that reads no objects.
    """

    persons: list[BoxList]
    objects: list[BoxList] | None


class ActionHead(nn.Module):
    """Classifies the persons of every clip.

    Attributes:
        augment_proposals: jitter the boxes in training (True); set False to train on the boxes as given.
    """

    def __init__(
        self,
        pooler: RoIPooler,
        feature_extractor: TwoMLPFeatureExtractor,
        predictor: FCPredictor,
        loss: ActionLoss,
        proposals_per_clip: int,
        extend_scale: float | Sequence[float],
        context: Sequence[str] = (),
        box_jitter: float = 0.0,
    ) -> None:
        super().__init__()
        self.context = tuple(context)
        self.box_jitter = box_jitter
        self.pooler = pooler
        self.feature_extractor = feature_extractor
        self.predictor = predictor
        self.loss = loss
        self.proposals_per_clip = proposals_per_clip
        self.extend_scale = extend_scale
        self.augment_proposals = True

    def forward_train(
        self,
        features: Features,
        boxes: Sequence[BoxList],
        objects: Sequence[BoxList] | None,
        extras: Sequence[ClipExtras] | None,
        memory: MemoryPool | None,
        current_loss: float | None,
    ) -> TrainOutput:
        """Losses on jittered boxes; see ``ActionDetector.forward_train``."""
        proposals = self.make_proposals(boxes)
        persons = self.pool(features, self._enlarge(proposals) if self.box_jitter else proposals)
        pooled_objects = self.pool_objects(features, objects)
        logits = self.classify(persons, proposals, pooled_objects, extras, memory, current_loss)
        labels = torch.cat([b.get_field("labels") for b in proposals]).to(logits.device)
        losses, metrics = self.loss(logits, labels, _joined_field(proposals, "weight"))
        pooled = attach_features(proposals, persons.detach()) if self.feature_extractor.ia_structure else []
        return TrainOutput(losses, metrics, pooled)

    def pool_features(
        self, features: Features, boxes: Sequence[BoxList], objects: Sequence[BoxList] | None
    ) -> PooledFeatures:
        """Boxes as given with their features; persons are enlarged for pooling."""
        persons = attach_features(boxes, self.pool(features, self._enlarge(boxes)))
        return PooledFeatures(persons, self.pool_objects(features, objects))

    def score(
        self,
        persons: Sequence[BoxList],
        objects: Sequence[BoxList] | None,
        extras: Sequence[ClipExtras] | None,
        memory: MemoryPool | None,
    ) -> list[BoxList]:
        """Boxes as given with the field ``scores`` [n, NUM_CLASSES], from the result of ``pool_features``."""
        logits = self.classify(self._joined_features(persons), persons, objects, extras, memory)
        results = []
        for boxes, rows in zip(persons, self.probabilities(logits).split([len(b) for b in persons]), strict=True):
            result = boxes.copy_with_fields([name for name in boxes.fields() if name != "pooled_feature"])
            result.add_field("scores", rows)
            results.append(result)
        return results

    def classify(
        self,
        persons: Tensor,
        boxes: Sequence[BoxList],
        objects: Sequence[BoxList] | None,
        extras: Sequence[ClipExtras] | None,
        memory: MemoryPool | None,
        current_loss: float | None = None,
    ) -> Tensor:
        """Logits [N, NUM_CLASSES] of the pooled features ``persons`` [N, C] of ``boxes``.

        ``objects`` have the field ``pooled_feature``; None stands for no objects.
        """
        counts = [len(b) for b in boxes]
        if objects is None:
            object_features, object_counts = persons[:0].detach(), [0] * len(counts)
        else:
            object_features, object_counts = self._joined_features(objects), [len(b) for b in objects]
        geometry = self.feature_extractor.geometry
        places = None if geometry is None else geometry(boxes).to(persons)
        x = self.feature_extractor(
            persons, counts, object_features, object_counts, extras, memory, current_loss, places
        )
        return self.predictor(x)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Softmax over the pose classes, sigmoid for the others: [N, NUM_CLASSES]."""
        logits = at_least_float32(logits)
        pose, others = self.loss.groups.pose_columns(), self.loss.groups.other_columns()
        scores = torch.empty_like(logits)
        scores[:, as_slice(pose)] = logits[:, as_slice(pose)].softmax(dim=1)
        scores[:, as_slice(others)] = logits[:, as_slice(others)].sigmoid()
        return scores

    def make_proposals(self, boxes: Sequence[BoxList]) -> list[BoxList]:
        """Training boxes: at most ``proposals_per_clip`` of a clip at random, jittered in pixels of the
        model's input. ``BoxList.random_aug`` takes corners as inclusive, also the continuous ones of thermal boxes."""
        proposals = []
        for b in boxes:
            if len(b) > self.proposals_per_clip:
                b = b[subset(len(b), self.proposals_per_clip)]
            if self.augment_proposals:
                b = jitter_boxes(b, self.box_jitter) if self.box_jitter else b.random_aug(*PROPOSAL_JITTER)
            proposals.append(b)
        return proposals

    def _enlarge(self, boxes: Sequence[BoxList]) -> list[BoxList]:
        """The regions that are pooled for boxes as given."""
        return [b.extend(self.extend_scale) for b in boxes]

    def pool(self, features: Features, boxes: Sequence[BoxList]) -> Tensor:
        """[N, C]: maximum over the cells of each region, and its context, see MODEL.ROI_ACTION_HEAD.CONTEXT."""
        region = self.pooler(features, boxes).flatten(2)
        parts = [region.max(dim=2).values]
        for name in self.context:
            if name == "mean":
                parts.append(region.mean(dim=2))
            elif name == "wide":
                wide = [b.extend(1.0) for b in boxes]
                parts.append(self.pooler(features, wide).flatten(2).max(dim=2).values)
            else:
                frames = torch.cat([at_least_float32(x).mean(dim=(2, 3, 4)) for x in features if x is not None], dim=1)
                owners = [clip for clip, b in enumerate(boxes) for _ in range(len(b))]
                parts.append(frames[torch.tensor(owners, dtype=torch.long, device=frames.device)])
        return torch.cat(parts, dim=1)

    def pool_objects(self, features: Features, objects: Sequence[BoxList] | None) -> list[BoxList] | None:
        """Objects with their features; None for a model that reads none."""
        ia = self.feature_extractor.ia_structure
        if objects is None or ia is None or ia.object_dim_reduce is None:
            return None
        return attach_features(objects, self.pool(features, objects))

    def _joined_features(self, boxes: Sequence[BoxList]) -> Tensor:
        """[N, C] of the fields ``pooled_feature``, on the device of the model."""
        features = torch.cat([b.get_field("pooled_feature") for b in boxes]).flatten(1)
        return features.to(self.predictor.cls_score.weight)


def jitter_boxes(boxes: BoxList, deviation: float) -> BoxList:
    """Move each side by a normally distributed fraction of width or height, within the frame; they keep their order."""
    corners = boxes.convert("xyxy").bbox
    extents = (corners[:, 2:] - corners[:, :2]).repeat(1, 2)
    moved = corners + deviation * torch.randn_like(corners) * extents
    limits = moved.new_tensor(boxes.size * 2)
    low, high = torch.minimum(moved[:, :2], moved[:, 2:]), torch.maximum(moved[:, :2], moved[:, 2:])
    result = BoxList(torch.minimum(torch.cat([low, high], dim=1).clamp(min=0), limits), boxes.size)
    for name in boxes.fields():
        result.add_field(name, boxes.get_field(name))
    return result


def _joined_field(boxes: Sequence[BoxList], name: str) -> Tensor | None:
    """A field of all boxes of a batch; None where no clip has it, 1 in clips that lack it."""
    if not any(b.has_field(name) for b in boxes):
        return None
    values = [b.get_field(name) if b.has_field(name) else b.bbox.new_ones(len(b)) for b in boxes]
    return torch.cat([cast(Tensor, value) for value in values])


def attach_features(boxes: Sequence[BoxList], features: Tensor) -> list[BoxList]:
    """Copies of ``boxes`` with the field ``pooled_feature`` [n, C, 1, 1, 1]."""
    results = []
    for b, rows in zip(boxes, features.split([len(b) for b in boxes]), strict=True):
        result = b.copy_with_fields(b.fields())
        result.add_field("pooled_feature", rows[:, :, None, None, None])
        results.append(result)
    return results


class RoIPooler(nn.Module):
    """Region features, averaged over time, pathways concatenated on channels.

    Args:
        kind: ``"align3d"`` (RoIAlign without the half-pixel shift) or ``"pooling3d"`` (RoI max-pooling).
        resolution: cells per side.
        scale: feature cells per input pixel.
        sampling_ratio: samples per side of a cell, 0 adapts to the region (RoIAlign only).
        mean_before: average over time before pooling instead of after.
    """

    def __init__(self, kind: str, resolution: int, scale: float, sampling_ratio: int, mean_before: bool) -> None:
        super().__init__()
        if kind not in ("align3d", "pooling3d"):
            raise ValueError(f"kind of pooling is {kind!r}, expected 'align3d' or 'pooling3d'")
        self.kind = kind
        self.resolution = resolution
        self.scale = scale
        self.sampling_ratio = sampling_ratio
        self.mean_before = mean_before

    def forward(self, features: Features, boxes: Sequence[BoxList]) -> Tensor:
        """[N, sum of C, resolution, resolution] in float32 (float64 of such features), N over all clips in order.

        Args:
            boxes: one BoxList per clip, in pixels of the input.
        """
        rois = clip_boxes(boxes)
        return torch.cat([self._pool(x, rois) for x in features if x is not None], dim=1)

    def _pool(self, x: Tensor, rois: Tensor) -> Tensor:
        x = at_least_float32(x)
        if self.mean_before:
            return self.pool_frames(x.mean(dim=2, keepdim=True), rois).squeeze(2)
        return self.pool_frames(x, rois).mean(dim=2)

    def pool_frames(self, x: Tensor, rois: Tensor) -> Tensor:
        """[N, C, T, resolution, resolution] of a feature map [B, C, T, H, W] and rois [N, 5] (clip, x1, y1, x2, y2)."""
        # Every channel is pooled alike, so frames may as well be channels.
        stacked = x.flatten(1, 2).contiguous()
        rois = rois.to(x)
        with torch.autocast(device_type=x.device.type, enabled=False):
            if self.kind == "align3d":
                pooled = roi_align(stacked, rois, self.resolution, self.scale, self.sampling_ratio, aligned=False)
            else:
                pooled = roi_pool(stacked, rois, self.resolution, self.scale)
        return pooled.unflatten(1, x.shape[1:3])


def clip_boxes(boxes: Sequence[BoxList]) -> Tensor:
    """[N, 5] rows (clip, x1, y1, x2, y2) of the boxes of a batch."""
    rows = [
        torch.cat([b.bbox.new_full((len(b), 1), clip), b.convert("xyxy").bbox], dim=1) for clip, b in enumerate(boxes)
    ]
    return torch.cat(rows)


class BoxGeometry(nn.Module):
    """Centre and size of boxes as fractions of the frame, embedded (MODEL.ROI_ACTION_HEAD.BOX_GEOMETRY).

    Args:
        annotated: take the field ``place`` of training boxes, fractions of the frame before it was mirrored, shifted or
            transposed, where they have it.
    """

    WIDTH = 64

    def __init__(self, annotated: bool) -> None:
        super().__init__()
        self.annotated = annotated
        self.fc = _fully_connected(4, self.WIDTH)

    def forward(self, boxes: Sequence[BoxList]) -> Tensor:
        """[N, WIDTH] of the boxes of a batch."""
        corners = torch.cat([self._fractions(b) for b in boxes]).to(self.fc.weight)
        size = corners[:, 2:] - corners[:, :2]
        centre = (corners[:, 2:] + corners[:, :2]) / 2
        # Boxes are a few tenths of the frame wide: all four numbers are about -1 to 1.
        return F.relu(self.fc(torch.cat([2 * centre - 1, 4 * size - 1], dim=1)))

    def _fractions(self, boxes: BoxList) -> Tensor:
        if self.annotated and self.training and boxes.has_field("place"):
            return cast(Tensor, boxes.get_field("place"))
        return boxes.convert("xyxy").bbox / boxes.bbox.new_tensor(boxes.size * 2)


class TwoMLPFeatureExtractor(nn.Module):
    """fc1 and fc2 with ReLU, on pooled features to which the output of IA is added or concatenated.

    Args:
        dim_in: width of the pooled features.
        dim_out: width of fc1 and fc2.
        ia: None: no interaction aggregation.
        fusion: ``"add"`` or ``"concat"``.
        geometry: embeds the place of the boxes, joined to the features; None: it is not used.
        dropout: before fc1 and fc2.

    Raises:
        UserError: ``ia`` is for features of another width.
    """

    def __init__(
        self,
        dim_in: int,
        dim_out: int,
        ia: IAOptions | None,
        fusion: str,
        geometry: BoxGeometry | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.fusion = fusion
        self.geometry = geometry
        self.dropout = nn.Dropout(dropout)
        self.ia_structure: IAStructure | None = None
        fc_in = dim_in
        if ia is not None:
            if ia.dim_in != dim_in:
                raise UserError(
                    f"MODEL.IA_STRUCTURE.DIM_IN is {ia.dim_in}, but the backbone gives {dim_in} channels; "
                    f"set DIM_IN {dim_in}, or 0 to take that."
                )
            self.ia_structure = build_ia_structure(ia)
            fc_in = dim_in + (ia.dim_out if fusion == "concat" else 0)
        fc_in += 0 if geometry is None else geometry.WIDTH
        self.fc1 = _fully_connected(fc_in, dim_out)
        self.fc2 = _fully_connected(dim_out, dim_out)

    def forward(
        self,
        persons: Tensor,
        counts: Sequence[int],
        objects: Tensor,
        object_counts: Sequence[int],
        extras: Sequence[ClipExtras] | None,
        memory: MemoryPool | None,
        current_loss: float | None,
        places: Tensor | None = None,
    ) -> Tensor:
        """[N, dim_out] of pooled person features [N, dim_in] and embedded ``places``; for the other arguments see
        ``IAStructure``."""
        x = persons
        if self.ia_structure is not None:
            y = self.ia_structure(persons, counts, objects, object_counts, extras, memory, current_loss)
            x = x + y if self.fusion == "add" else torch.cat([x, y.to(x.dtype)], dim=1)
        if places is not None:
            x = torch.cat([x, places], dim=1)
        x = F.relu(self.fc1(self.dropout(x)))
        return F.relu(self.fc2(self.dropout(x)))


def _fully_connected(dim_in: int, dim_out: int) -> nn.Linear:
    layer = nn.Linear(dim_in, dim_out)
    nn.init.kaiming_uniform_(layer.weight, a=1)
    nn.init.zeros_(layer.bias)
    return layer


class FCPredictor(nn.Module):
    """Dropout and one linear layer: [N, dim] -> logits [N, num_classes]."""

    def __init__(self, dim: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.cls_score = nn.Linear(dim, num_classes)
        nn.init.normal_(self.cls_score.weight, std=0.01)
        nn.init.zeros_(self.cls_score.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.cls_score(self.dropout(x))


def build_action_head(cfg: ConfigNode, dim_in: int, stride: int = 16) -> ActionHead:
    """The head that a configuration describes, for features with ``dim_in`` channels, a cell per ``stride`` pixels.

    FEATURE_EXTRACTOR and PREDICTOR have one implementation each; ``validate`` refuses other names.

    Raises:
        UserError: a POOLER_SCALE of another stride; widths, or blocks of the interaction structure, that do not fit
            together; NUM_CLASSES 0, which the data set has to resolve first
            (``alphaction.annotations.class_settings.resolve_classes``).
    """
    keys = cfg.MODEL.ROI_ACTION_HEAD
    if keys.NUM_CLASSES == 0:
        raise UserError(
            "MODEL.ROI_ACTION_HEAD.NUM_CLASSES is 0, as many as the data set has, expected a number by now; call "
            "alphaction.annotations.class_settings.resolve_classes(cfg) first, or set it."
        )
    ia_keys = cfg.MODEL.IA_STRUCTURE
    dim_in *= 1 + len(keys.CONTEXT)
    ia = IAOptions.from_cfg(ia_keys, dim_in) if ia_keys.ACTIVE else None
    pooler = RoIPooler(
        keys.POOLER_TYPE,
        keys.POOLER_RESOLUTION,
        _pooler_scale(keys, stride),
        keys.POOLER_SAMPLING_RATIO,
        keys.MEAN_BEFORE_POOLER,
    )
    geometry = BoxGeometry(keys.BOX_GEOMETRY == "annotated") if keys.BOX_GEOMETRY else None
    extractor = TwoMLPFeatureExtractor(dim_in, keys.MLP_HEAD_DIM, ia, ia_keys.FUSION, geometry, keys.MLP_DROPOUT)
    predictor = FCPredictor(keys.MLP_HEAD_DIM, keys.NUM_CLASSES, keys.DROPOUT_RATE)
    loss = ActionLoss(ClassGroups.from_cfg(keys), keys.FOCAL_LOSS.GAMMA, keys.FOCAL_LOSS.ALPHA, keys.LABEL_SMOOTHING)
    return ActionHead(
        pooler,
        extractor,
        predictor,
        loss,
        keys.PROPOSAL_PER_CLIP,
        cfg.TEST.EXTEND_SCALE,
        keys.CONTEXT,
        keys.BOX_JITTER,
    )


def _pooler_scale(keys: ConfigNode, stride: int) -> float:
    """POOLER_SCALE, or the backbone's where it is 0."""
    if keys.POOLER_SCALE not in (0, 1 / stride):
        raise UserError(
            f"MODEL.ROI_ACTION_HEAD.POOLER_SCALE is {keys.POOLER_SCALE:g}, but the backbone has a feature cell per "
            f"{stride} pixels, which is {1 / stride:g}; set POOLER_SCALE 0 to take that."
        )
    return 1 / stride
