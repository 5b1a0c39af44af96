"""What training and testing prepare alike: the model, the memory and the loaders."""

from __future__ import annotations

import torch

from ..config.node import ConfigNode
from ..dataset.build import ActionLoader, make_data_loader
from ..modeling.detector import ActionDetector, build_detection_model
from ..structures.memory_pool import MemoryPool
from ..utils import processes


def prepare_model(cfg: ConfigNode, device: torch.device) -> ActionDetector:
    """The configured detector on ``device``, in the memory format that is fastest there."""
    model = build_detection_model(cfg).to(device)
    # On CPUs 3-D convolutions run faster with channels last; values and names stay the same.
    return model.to(memory_format=torch.channels_last_3d) if device.type == "cpu" else model


def prepare_memory(cfg: ConfigNode) -> MemoryPool:
    """An empty pool as MODEL.IA_STRUCTURE.MEMORY_DTYPE, MEMORY_LIMIT_MB and DIM_IN say."""
    keys = cfg.MODEL.IA_STRUCTURE
    return MemoryPool(keys.MEMORY_DTYPE, keys.MEMORY_LIMIT_MB, keys.DIM_IN or None)


def prepare_training_loader(cfg: ConfigNode, start_iter: int) -> ActionLoader:
    """This process's share of the batches after ``start_iter`` iterations."""
    return make_data_loader(cfg, is_train=True, is_distributed=processes.world_size() > 1, start_iter=start_iter)


def prepare_test_loaders(cfg: ConfigNode) -> list[ActionLoader]:
    """This process's share of each set of DATASETS.TEST, in their order."""
    return make_data_loader(cfg, is_train=False, is_distributed=processes.world_size() > 1)
