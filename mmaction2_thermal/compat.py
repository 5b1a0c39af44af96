"""Make MMAction2 1.2.0, installed from the package index, work with current PyTorch.

``import mmaction2_thermal`` calls :func:`apply`. It changes no installed file and replaces no function of another
package: missing modules are provided by a finder at the end of ``sys.meta_path``, after everything that is installed,
and checkpoint loading is changed through MMEngine's loader registry. A workaround is therefore not used where upstream
provides the module.

Workarounds:

* ``mmaction.models.localizers.drn`` is missing from the wheel, but ``import mmaction.models`` needs it. A stand-in has
  the only name that is imported, ``DRN``; constructing it raises an error that says what is missing.
* ``mmcv-lite`` is mmcv without its compiled part, ``mmcv._ext``, without which neither ``mmcv.ops`` nor
  ``mmdet.models`` can be imported. A stand-in has ``nms`` and average ``roi_align`` from torchvision (equal to mmcv's
  up to rounding). Every other operation raises an error when it is called: it needs the full mmcv.
  ``mmcv.utils.ext_loader.check_ops_exist`` therefore returns True.
* Since PyTorch 2.6, ``torch.load`` reads plain data only, but MMEngine's checkpoints also contain its ``HistoryBuffer``
  and numpy types. These are allowed by name, and only while MMEngine reads a checkpoint file. A ``HistoryBuffer`` is
  stored with ``getattr``, which could return any attribute of any allowed type; here it returns only methods of the
  buffer. numpy's own functions trust the file, so arrays and numbers are built by functions below that check it first;
  an array is returned as :class:`_Array`. These files still run code of MMEngine: use only checkpoints that you trust.
  Checkpoints named by URL are downloaded and read by torch.hub, without any of these checks.

Reported with one sentence, because there is no workaround:

* A package is missing. Without mmdet, MMAction2 leaves out its AVA head silently.
* mmcv 2.2.0 or newer is installed, which MMAction2 and mmdet refuse.

Known limitations:

* Without ``pkg_resources`` (gone from newer setuptools) ``_base_ = "mmaction::..."`` fails; relative paths work.
* ``AVAMetric`` has no default for ``exclude_file``: write ``exclude_file=None``.
* ``AmpOptimWrapper`` (``--amp``) and several processes (``--launcher``) need GPUs.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch
import torchvision

from alphaction.errors import UserError

REQUIREMENTS = "pip install -r mmaction2_thermal/requirements.txt"
MMCV_VERSIONS = ((2, 0, 0), (2, 2, 0))
PACKAGES = {"mmengine": "mmengine", "mmcv": "mmcv-lite", "mmaction": "mmaction2", "mmdet": "mmdet"}


def apply() -> None:
    """Make MMAction2 importable and its checkpoints readable; a second call has no effect.

    Raises:
        UserError: a package is missing or mmcv has a version that MMAction2 refuses.
    """
    check_packages()
    if not any(isinstance(finder, StandIns) for finder in sys.meta_path):
        sys.meta_path.append(StandIns())
    allow_checkpoints()


def check_packages() -> None:
    """Raise a UserError that names a missing package or a refused version."""
    for module, package in PACKAGES.items():
        if importlib.util.find_spec(module) is None:
            raise UserError(
                f"The package {package} is not installed, expected all of mmaction2_thermal/"
                f"requirements.txt; run: {REQUIREMENTS}"
            )
    import mmcv

    found = tuple(int(part) for part in mmcv.__version__.split(".")[:3] if part.isdigit())
    if not MMCV_VERSIONS[0] <= found < MMCV_VERSIONS[1]:
        raise UserError(
            f"mmcv {mmcv.__version__} is installed, expected at least 2.0.0 and below 2.2.0, which "
            f"MMAction2 and mmdet need; uninstall it and run: {REQUIREMENTS}"
        )


# ---- missing modules


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Provides the modules of ``STAND_INS`` if an import finds them nowhere else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec of a stand-in; None for any other module."""
        if fullname not in STAND_INS:
            return None
        return importlib.util.spec_from_loader(fullname, self, is_package=fullname.endswith(".localizers.drn"))

    def exec_module(self, module: ModuleType) -> None:
        """Fill a new module with its stand-in."""
        module.__doc__ = "Stand-in, see mmaction2_thermal.compat."
        vars(module).update(STAND_INS[module.__name__])


class DRN:
    """Stand-in for a localizer that mmaction2 1.2.0 imports but does not contain."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise ImportError(
            "The localizer DRN is not part of the mmaction2 wheel; install MMAction2 from its repository."
        )


def nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float, offset: int) -> torch.Tensor:
    """Indices of the boxes [N, 4] that are kept, best score first; with ``offset`` 1 corners include the last pixel."""
    corners = boxes + boxes.new_tensor([0, 0, offset, offset]) if offset else boxes
    return torchvision.ops.nms(corners, scores, iou_threshold)


def roi_align_forward(
    features: torch.Tensor,
    rois: torch.Tensor,
    output: torch.Tensor,
    argmax_y: torch.Tensor,
    argmax_x: torch.Tensor,
    **how: Any,
) -> None:
    """Write the pooled features [N, C, h, w] of the boxes [N, 5] into ``output``."""
    output.copy_(_roi_align(features, rois, how))


def roi_align_backward(
    grad_output: torch.Tensor,
    rois: torch.Tensor,
    argmax_y: torch.Tensor,
    argmax_x: torch.Tensor,
    grad_input: torch.Tensor,
    **how: Any,
) -> None:
    """Write the gradient with respect to the features into ``grad_input``."""
    # The pooling is linear in the features, so their values do not matter.
    with torch.enable_grad():
        features = torch.zeros_like(grad_input, requires_grad=True)
        pooled = _roi_align(features, rois, how)
    grad_input.copy_(torch.autograd.grad(pooled, features, grad_output.to(pooled.dtype))[0])


def _roi_align(features: torch.Tensor, rois: torch.Tensor, how: dict[str, Any]) -> torch.Tensor:
    if how["pool_mode"] != 1:
        raise NotImplementedError("RoIAlign with pool_mode 'max' needs the full mmcv; use 'avg' with mmcv-lite.")
    # Half-precision features come with boxes in full precision, which are needed: 384.2 is 384.25 in half precision.
    kind = torch.promote_types(features.dtype, rois.dtype)
    return torchvision.ops.roi_align(
        features.to(kind),
        rois.to(kind),
        (how["aligned_height"], how["aligned_width"]),
        how["spatial_scale"],
        how["sampling_ratio"],
        how["aligned"],
    )


def _missing_operation(name: str) -> Callable:
    """Stand-in for one of mmcv's compiled operations."""
    # Only names of operations: Python and PyTorch look up underscore names in every module.
    if name.startswith("_"):
        raise AttributeError(name)

    def missing(*args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(
            f"The operation {name} needs the full mmcv, found mmcv-lite; install mmcv 2.1.0 or use a model without it."
        )

    return missing


def _no_compiler() -> str:
    """What ``mmcv.utils.collect_env`` reports if nothing was compiled."""
    return "n/a"


STAND_INS: dict[str, dict[str, Any]] = {
    "mmaction.models.localizers.drn": {},
    "mmaction.models.localizers.drn.drn": {"DRN": DRN},
    "mmcv._ext": {
        "nms": nms,
        "roi_align_forward": roi_align_forward,
        "roi_align_backward": roi_align_backward,
        "get_compiler_version": _no_compiler,
        "get_compiling_cuda_version": _no_compiler,
        "__getattr__": _missing_operation,
    },
}


# ---- checkpoints


def allow_checkpoints() -> None:
    """Let MMEngine read its own checkpoint files (not those named by a URL)."""
    from mmengine.runner.checkpoint import CheckpointLoader, load_from_local

    @functools.wraps(load_from_local)
    def load(filename: str, map_location: Any = None) -> Any:
        with torch.serialization.safe_globals(checkpoint_types()):
            return load_from_local(filename, map_location)

    CheckpointLoader.register_scheme(prefixes="", loader=load, force=True)


def checkpoint_types() -> list[Any]:
    """Types in MMEngine's checkpoints other than tensors and plain data."""
    from mmengine.logging.history_buffer import HistoryBuffer

    def buffer_method(owner: type, name: str) -> Callable:
        if owner is not HistoryBuffer or name not in {"min", "max", "mean", "current"}:
            raise TypeError(f"a checkpoint asks for {name!r} of {owner!r}, expected a statistic of HistoryBuffer")
        return getattr(owner, name)

    return [
        HistoryBuffer,
        (buffer_method, "builtins.getattr"),
        (_Array, "numpy.ndarray"),
        (_Dtype, "numpy.dtype"),
        # numpy 1 and 2 write different names.
        *(
            (function, f"numpy.{core}.multiarray.{name}")
            for core in ("core", "_core")
            for name, function in (("_reconstruct", _reconstruct), ("scalar", _scalar))
        ),
    ]


class _Dtype:
    """A pickled numpy dtype: a code such as "f8", and the byte order in the state."""

    def __init__(self, code: Any = None, *_: Any) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: Any) -> None:
        self.order = state[1]

    def resolve(self) -> np.dtype:
        """The dtype; raises TypeError or ValueError if it is not a plain number type."""
        dtype = np.dtype(str(self.code))
        if dtype.kind not in "biuf" or dtype.subdtype is not None:
            raise ValueError(f"a checkpoint has an array of {self.code!r}, expected numbers")
        return dtype.newbyteorder(self.order if self.order in ("<", ">") else "=")


class _Array(np.ndarray):
    """An array of numbers that is filled once from a pickle and pickled as a numpy array."""

    def __new__(cls, *_: Any) -> _Array:
        return super().__new__(cls, 0)

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        super().__setstate__((1, shape, _resolve(dtype), bool(fortran), data))

    def __reduce_ex__(self, protocol: Any) -> Any:
        return np.asarray(self).__reduce_ex__(protocol)


def _resolve(dtype: Any) -> np.dtype:
    if not isinstance(dtype, _Dtype):
        raise TypeError(f"a checkpoint has an array of {type(dtype).__name__}, expected a dtype of numbers")
    return dtype.resolve()


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _scalar(dtype: Any, data: Any) -> np.generic:
    return np.frombuffer(data, _resolve(dtype), 1)[0]
