"""Persons, and objects for the O blocks, in RGB frames: torchvision's detectors."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torchvision.models import detection

from ..checkpoints.torch_files import load_torch_file
from ..errors import UserError, file_problem
from .detections import Detections

MODELS: dict[str, Callable[..., nn.Module]] = {
    "fasterrcnn": detection.fasterrcnn_resnet50_fpn,
    "fasterrcnn_mobilenet": detection.fasterrcnn_mobilenet_v3_large_fpn,
    "retinanet": detection.retinanet_resnet50_fpn,
    "ssdlite": detection.ssdlite320_mobilenet_v3_large,
}
# COCO's id of persons, and its number of classes with the background.
_PERSON, _COCO = 1, 91


class VideoDetector:
    """A detector of torchvision, in evaluation mode.

    Args:
        name: a key of ``MODELS``.
        weights: state dict file, with the classes of COCO or with persons as class 1 of any number; None: torchvision's
            own weights of COCO, which it downloads.
        classes: classes of the file with the background.
        device: where it computes.
        threshold: persons with a lower score are left out.

    Raises:
        UserError: no such model, no weights or those of another model.
    """

    def __init__(
        self,
        name: str = "fasterrcnn",
        weights: str | os.PathLike[str] | None = None,
        *,
        classes: int = _COCO,
        device: torch.device | str = "cpu",
        threshold: float = 0.5,
    ) -> None:
        if name not in MODELS:
            raise UserError(f"The person model is {name!r}, expected one of {', '.join(MODELS)}; choose one.")
        with torch.random.fork_rng(devices=[]):
            self.model = _load(name, weights, classes).to(device).eval()
        self.device, self.threshold = device, threshold

    @torch.inference_mode()
    def detect(self, frame: np.ndarray, objects: int = 0) -> tuple[Detections, Detections]:
        """Persons and the ``objects`` other things with the best scores in a frame uint8 [h, w, 3] RGB."""
        image = torch.from_numpy(np.ascontiguousarray(frame)).to(self.device).permute(2, 0, 1).float() / 255
        found = {name: value.cpu().numpy() for name, value in self.model([image])[0].items()}
        is_person = found["labels"] == _PERSON
        persons = np.flatnonzero(is_person & (found["scores"] >= self.threshold))
        others = np.flatnonzero(~is_person)
        others = others[np.argsort(-found["scores"][others], kind="stable")[:objects]]
        both = Detections(found["boxes"], found["scores"])
        return both.select(persons), both.select(others)


def _load(name: str, weights: str | os.PathLike[str] | None, classes: int) -> nn.Module:
    make = MODELS[name]
    if weights is None:
        try:
            return make(weights="DEFAULT")
        except OSError as error:
            raise UserError(
                f"torchvision cannot download its weights of {name} ({error}), expected a connection; name a file with "
                "--person-weights, or boxes with --boxes."
            ) from error
    problem = file_problem(weights)
    if problem:
        raise UserError(f"The person weights {weights} {problem}, expected a state dict of {name}; name one.")
    found = load_torch_file(Path(weights))
    state = found if isinstance(found, dict) else {}
    if isinstance(state.get("model"), dict):
        state = state["model"]
    model = make(weights=None, weights_backbone=None, num_classes=classes)
    try:
        model.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:150]
        raise UserError(
            f"The person weights {weights} do not fit torchvision's {name} with {classes} classes ({reason}), expected "
            "its state dict; choose the right --person-model and --person-classes."
        ) from error
    return model
