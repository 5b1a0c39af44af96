"""Reference values of the model in float64, kept in tests/data for clones without the recorded fixtures.

``python tests/reference_values.py`` writes tests/data/reference_values.json. The values were recorded when the model
agreed with the fixtures; record them again only when the model is meant to change. In float64 they are the same on
every processor, with any number of threads and with or without oneDNN, far within the tolerance of the test.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import torch
from small_model import make_batch, small_cfg, total_loss

from alphaction.modeling.detector import build_detection_model

FILE = Path(__file__).parent / "data" / "reference_values.json"
IA = "MODEL.IA_STRUCTURE"
CASES: dict[str, list] = {
    "baseline": [f"{IA}.ACTIVE", False],
    "baseline_live_bn": [f"{IA}.ACTIVE", False, "MODEL.BACKBONE.FROZEN_BN", False],
    "resnet101": [f"{IA}.ACTIVE", False, "MODEL.BACKBONE.CONV_BODY", "Slowfast-Resnet101"],
    "serial_concat": [f"{IA}.STRUCTURE", "serial", f"{IA}.I_BLOCK_LIST", ["P", "M"], f"{IA}.LAYER_NORM", False],
    "dense": [],
    "dense_rate_2": [f"{IA}.MEMORY_RATE", 2, f"{IA}.I_BLOCK_LIST", ["P", "M", "P", "M"]],
    "parallel_add": [
        f"{IA}.STRUCTURE",
        "parallel",
        f"{IA}.I_BLOCK_LIST",
        [["P", "O", "M"], ["P", "O", "M"]],
        f"{IA}.FUSION",
        "add",
        f"{IA}.DIM_OUT",
        2304,
    ],
    "nonlocal_pooling": [
        f"{IA}.ACTIVE",
        False,
        "MODEL.BACKBONE.SLOWFAST.SLOW.CONV3_NONLOCAL",
        True,
        "MODEL.BACKBONE.SLOWFAST.SLOW.CONV4_NONLOCAL",
        True,
        "MODEL.BACKBONE.SLOWFAST.SLOW.CONV3_GROUP_NL",
        True,
        "MODEL.ROI_ACTION_HEAD.POOLER_TYPE",
        "pooling3d",
    ],
    "i3d": [f"{IA}.ACTIVE", False, "MODEL.BACKBONE.CONV_BODY", "I3D-Resnet50"],
}


# NumPy guarantees the stream of RandomState for good. The length is a prime, so that rows of weights differ. Nothing is
# rounded to float32 that a processor may compute in its own way.
_NORMAL = np.random.RandomState(0).standard_normal(10007)


def set_weights(model: torch.nn.Module) -> None:
    """Values that depend on the entry's name only, and not on any library's version."""
    for name, tensor in model.state_dict().items():
        values = np.roll(_NORMAL, zlib.crc32(name.encode()) % len(_NORMAL))
        values = torch.from_numpy(np.resize(values, tuple(tensor.shape)))
        if name.endswith("num_batches_tracked"):
            tensor.zero_()
        elif name.endswith("running_var") or (name.endswith("weight") and tensor.ndim == 1):
            # What residual branches add is small: else each of them multiplies rounding errors.
            small = name.endswith("bn.weight") and ("conv3" in name or "nonlocal" in name)
            tensor.copy_((1 + 0.1 * torch.tanh(values)) * (0.2 if small else 1.0))
        elif tensor.ndim > 1 and "temporal_position" not in name and "dense_params" not in name:
            tensor.copy_(values * (1.4 / np.prod(tensor.shape[1:])) ** 0.5)
        else:
            tensor.copy_(0.1 * values)


def set_clips(batch: dict) -> None:
    for key in ("slow", "fast"):
        batch[key] = torch.from_numpy(np.random.RandomState(len(key)).standard_normal(tuple(batch[key].shape)))


def set_boxes(batch: dict) -> None:
    """Boxes, labels and memory features from fixed numbers instead of torch's generator."""
    random = np.random.RandomState(7)
    for boxes in [*batch["boxes"], *(batch["objects"] or [])]:
        start, extent = random.uniform(2, 30, (len(boxes), 2)), random.uniform(8, 30, (len(boxes), 2))
        boxes.bbox = torch.from_numpy(np.concatenate([start, start + extent], axis=1)).to(torch.float32)
        labels = boxes.get_field("labels")
        boxes.add_field("labels", torch.from_numpy(random.randint(0, 2, tuple(labels.shape))).byte())
    memory = batch["memory"]
    for movie in memory.movies():
        for timestamp in sorted(memory[movie]):
            boxes, second = memory[movie][timestamp], memory[movie].second(timestamp)
            shape = tuple(boxes.get_field("pooled_feature").shape)
            boxes.add_field("pooled_feature", torch.from_numpy(random.uniform(0, 2, shape)))
            memory.put(movie, timestamp, boxes, second)


def run(overrides: list) -> dict:
    """Scores in two stages and, for the same batch in training, losses and gradient norms of one case, in float64."""
    # Room for every remembered person: no random subsets.
    cfg = small_cfg(f"{IA}.MAX_PER_SEC", 3, "MODEL.ROI_ACTION_HEAD.DROPOUT_RATE", 0.0, *overrides)
    model = build_detection_model(cfg).double()
    set_weights(model)
    model.roi_heads["action"].augment_proposals = False
    batch = make_batch(cfg, (2, 1), (1, 0) if model.has_objects else None, size=(64, 48))
    set_clips(batch)
    set_boxes(batch)
    model.eval()
    with torch.no_grad():
        pooled, objects = model(batch["slow"], batch["fast"], batch["boxes"], batch["objects"], part_forward=0)
        results = model(None, None, pooled, objects, batch["extras"], batch["memory"], part_forward=1)
    model.train()
    losses, metrics, _ = model(**batch, current_loss=3.0)
    total_loss(model, losses).backward()
    norms = {name: p.grad.norm().item() for name, p in model.named_parameters()}
    kept = sorted(norms)[:: max(1, len(norms) // 20)]
    return {
        "scores": [row for result in results for row in result.get_field("scores").tolist()],
        "pooled": torch.cat([b.get_field("pooled_feature") for b in pooled]).flatten(1)[:, ::256].tolist(),
        "losses": {name: loss.item() for name, loss in losses.items()},
        "metrics": {name: value.item() for name, value in metrics.items()},
        "gradient_norms": {name: norms[name] for name in kept},
    }


def rounded(value):
    """Twelve significant digits."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return float(f"{value:.12g}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    FILE.write_text(json.dumps({name: rounded(run(overrides)) for name, overrides in CASES.items()}, indent=1) + "\n")
    print(f"{FILE}: {FILE.stat().st_size} bytes")
