"""Losses and metrics of the action head: focal losses (arXiv 1708.02002) per group of classes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ....config.node import ConfigNode
from ...precision import at_least_float32

# Instead of minus infinity, which would give NaN gradients.
_VERY_LOW = -1e30


def sigmoid_focal_loss(logits: Tensor, targets: Tensor, gamma: float, alpha: float) -> Tensor:
    """Focal loss of independent yes/no decisions, without reduction.

    ``(1 - p_t)^gamma`` is computed as ``exp(gamma * logsigmoid(-s x))``, s = 1 for a positive target and -1 for a
    negative one, so that loss and gradient are finite at saturated logits for any gamma.

    Args:
        logits, targets: [N, K], targets 0 or 1.
        alpha: weight of positives, 1 - alpha of negatives; below 0: no weights.
    """
    targets = targets.to(logits.dtype)
    signed = logits * (2 * targets - 1)
    loss = -torch.exp(gamma * F.logsigmoid(-signed)) * F.logsigmoid(signed)
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    return loss


def softmax_focal_loss(logits: Tensor, labels: Tensor, gamma: float, alpha: float, smoothing: float = 0.0) -> Tensor:
    """Focal loss of one choice among K, without reduction: [N].

    Args:
        logits: [N, K].
        labels: int64 [N]; -1 is ignored (loss 0).
        alpha: weight of labels above 0, 1 - alpha of label 0; below 0: no weights.
        smoothing: share of the loss that is the mean over all K labels (label smoothing, arXiv 1512.00567).
    """
    if smoothing > 0:
        count = logits.shape[1]
        every = torch.arange(count, device=logits.device).repeat(len(logits))
        of_all = softmax_focal_loss(logits.repeat_interleave(count, dim=0), every, gamma, alpha).view(-1, count)
        loss = (1 - smoothing) * softmax_focal_loss(logits, labels, gamma, alpha) + smoothing * of_all.mean(dim=1)
        return torch.where(labels >= 0, loss, torch.zeros_like(loss))
    chosen = F.one_hot(labels.clamp(min=0), logits.shape[1]).bool()
    log_p = torch.log_softmax(logits, dim=1)
    log_rest = torch.logsumexp(log_p.masked_fill(chosen, _VERY_LOW), dim=1)
    log_p = torch.where(chosen, log_p, torch.zeros_like(log_p)).sum(dim=1)
    # Rounding may bring the log of a probability slightly above 0.
    loss = -torch.exp(gamma * log_rest.clamp(max=0)) * log_p
    if alpha >= 0:
        loss = loss * torch.where(labels > 0, alpha, 1 - alpha).to(loss.dtype)
    return torch.where(labels >= 0, loss, torch.zeros_like(loss))


# Columns of a tensor.
Columns = slice | list[int]


@dataclass(frozen=True)
class ClassGroups:
    """Columns of the classifier: pose first, then object and person interactions, or poses where ``chosen`` says.

    Where the three counts exceed ``num_classes``, columns that do not exist are left out.

    Attributes:
        num_classes: columns of the classifier.
        pose, objects, persons: columns of each group.
        chosen: the pose columns; the interactions are the others, in order. (): the first ones are.
    """

    num_classes: int
    pose: int
    objects: int
    persons: int
    chosen: tuple[int, ...] = ()

    @staticmethod
    def from_cfg(head: ConfigNode) -> ClassGroups:
        """The groups of MODEL.ROI_ACTION_HEAD."""
        return ClassGroups(
            head.NUM_CLASSES,
            head.NUM_PERSON_MOVEMENT_CLASSES,
            head.NUM_OBJECT_MANIPULATION_CLASSES,
            head.NUM_PERSON_INTERACTION_CLASSES,
            tuple(head.POSE_COLUMNS),
        )

    @property
    def missing_pose_is_0(self) -> bool:
        """Whether a person without a pose counts as pose 0, as in AlphAction."""
        return not self.chosen

    def pose_columns(self) -> list[int]:
        """Columns of the softmax."""
        return list(self.chosen) or list(range(min(self.pose, self.num_classes)))

    def other_columns(self) -> list[int]:
        """Columns of the sigmoids."""
        poses = set(self.pose_columns())
        return [column for column in range(self.num_classes) if column not in poses]

    def interaction_columns(self) -> dict[str, list[int]]:
        """Non-empty groups: "object_interaction" and "person_interaction"."""
        others = self.other_columns()
        ends = self.objects, self.objects + self.persons
        groups = {"object_interaction": others[: ends[0]], "person_interaction": others[ends[0] : ends[1]]}
        return {name: columns for name, columns in groups.items() if columns}


def as_slice(columns: list[int]) -> Columns:
    """A slice for columns that stand side by side, which takes no copy."""
    if not columns:
        return slice(0, 0)
    around = range(columns[0], columns[-1] + 1)
    return slice(around.start, around.stop) if columns == list(around) else columns


class ActionLoss(nn.Module):
    """Unweighted losses per class group, and metrics.

    Args:
        groups: columns of each group.
        gamma, alpha: of the focal losses.
        smoothing: label smoothing of the poses.
    """

    def __init__(self, groups: ClassGroups, gamma: float, alpha: float, smoothing: float = 0.0) -> None:
        super().__init__()
        self.groups = groups
        self.gamma = gamma
        self.alpha = alpha
        self.smoothing = smoothing

    def forward(
        self, logits: Tensor, labels: Tensor, weights: Tensor | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Losses and metrics of a batch; sums over persons are divided by their mean number, or total weight, over all
        processes.

        Without persons the losses are zero (and still lead back to every parameter) and there are no metrics.

        Args:
            logits: [N, NUM_CLASSES].
            labels: [N, NUM_CLASSES], 0 or 1. Without a pose a person counts as pose 0 or is left out of the pose loss,
                see ``ClassGroups.missing_pose_is_0``; with several it counts as the lowest one.
            weights: [N], of each person in the losses; None: 1.
        """
        logits = at_least_float32(logits)
        weights = logits.new_ones(len(logits)) if weights is None else weights.to(logits)
        persons = mean_total(weights)
        losses, metrics = {}, {}
        if self.groups.pose_columns():
            pose = as_slice(self.groups.pose_columns())
            target = labels[:, pose].argmax(dim=1)
            if not self.groups.missing_pose_is_0:
                target = torch.where((labels[:, pose] > 0).any(dim=1), target, -1)
            loss = softmax_focal_loss(logits[:, pose], target, self.gamma, self.alpha, self.smoothing)
            losses["loss_pose_action"] = (weights * loss).sum() / persons
            metrics["accuracy_pose_action"] = pose_accuracy(logits[:, pose].detach(), target)
        for name, members in self.groups.interaction_columns().items():
            columns = as_slice(members)
            loss = sigmoid_focal_loss(logits[:, columns], labels[:, columns], self.gamma, self.alpha)
            losses[f"loss_{name}"] = (weights * loss.mean(dim=1)).sum() / persons
            metrics[f"accuracy_{name}"] = set_accuracy(logits[:, columns].detach(), labels[:, columns])
        return losses, metrics if len(labels) else {}


def pose_accuracy(logits: Tensor, target: Tensor) -> Tensor:
    """Share of persons whose best class is ``target``, over those that have one (not -1); without any: 1."""
    counted = target >= 0
    correct = (logits.argmax(dim=1) == target).sum().to(logits.dtype)
    return torch.where(counted.any(), correct / counted.sum().clamp(min=1), torch.ones_like(correct))


def set_accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over persons of intersection over union of predicted (probability > 0.5) and true classes; both empty: 1."""
    predicted, true = logits > 0, labels > 0
    both = (predicted & true).sum(dim=1).to(logits.dtype)
    either = (predicted | true).sum(dim=1).to(logits.dtype)
    return torch.where(either > 0, both / either.clamp(min=1), torch.ones_like(both)).mean()


def mean_total(weights: Tensor) -> Tensor:
    """Sum of the weights [N] of the persons of a process, averaged over processes; 1 where there are none at all."""
    count = weights.sum()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(count)
        count = count / torch.distributed.get_world_size()
    return torch.where(count > 0, count, torch.ones_like(count))
