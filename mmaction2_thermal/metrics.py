"""alphaction's evaluation as an MMEngine metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmaction.registry import METRICS
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from alphaction.dataset.datasets import ThermalAVADataset
from alphaction.evaluation import evaluate, format_report
from alphaction.evaluation.dataset import GROUND_TRUTH
from alphaction.structures.bounding_box import BoxList


@METRICS.register_module()
class ThermalMeanAP(BaseMetric):
    """Frame-mAP at IoU 0.5, top-1 and mean class accuracy of persons, COCO's AP, all in percent; see docs/training.md.

    Sets with independent classes have their mean F1 too. Undefined scores (such as those without any person) are left
    out. The complete table is logged.

    Args:
        hdf5_root: folder of the data set or of its recordings.
        ann_file: annotations of the tested keyframes.
        train_ann_file: annotations of the training keyframes; the table then includes the baselines.
        action_thr: class scores below it are left out of result.csv.
        output_dir: folder for result files and images, as ``test_net.py`` writes them; None writes none.
        proposal_file: file of the detected boxes that were tested, named in the table; None for annotated boxes.
        collect_device, prefix: as for MMEngine's metrics.
    """

    default_prefix = "thermal"

    def __init__(
        self,
        hdf5_root: str,
        ann_file: str,
        train_ann_file: str | None = None,
        action_thr: float = 0.0,
        output_dir: str | None = None,
        proposal_file: str | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.truth = ThermalAVADataset(hdf5_root, ann_file, False, 64)
        self.truth.box_source = proposal_file or GROUND_TRUTH
        self.train = ThermalAVADataset(hdf5_root, train_ann_file, False, 64) if train_ann_file else None
        self.action_thr, self.output_dir = action_thr, output_dir

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Store the boxes (fractions of the frame, as ``BBoxHeadAVA`` returns them) and scores of a batch."""
        for sample in data_samples:
            found = sample["pred_instances"]
            self.results.append((sample["img_key"], found["bboxes"].cpu(), found["scores"].float().cpu()))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute the scores over all batches of all processes."""
        index = {image_id: k for k, image_id in enumerate(self.truth.image_ids)}
        predictions = {index[key]: _box_list(boxes, scores) for key, boxes, scores in results}
        found = evaluate(self.truth, predictions, self.output_dir, self.train, self.action_thr)
        MMLogger.get_current_instance().info("\n" + format_report(found, self.truth.name))
        scores = {
            "mAP": found["mAP"],
            "top1": found["top1"],
            "mean_class_accuracy": found["mean_class_accuracy"],
            "mean_f1": found.get("mean_f1"),
            "coco_AP": found["coco"]["AP"],
            "coco_AP50": found["coco"]["AP50"],
        }
        return {name: value for name, value in scores.items() if value is not None}


def _box_list(boxes: torch.Tensor, scores: torch.Tensor) -> BoxList:
    result = BoxList(boxes.float(), (1, 1), mode="xyxy")
    result.add_field("scores", scores)
    return result
