"""Public SlowFast checkpoints, with the figures of the zoos' own tables (docs/model_zoo.md)."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import PurePosixPath

from ..errors import UserError

_MM = "https://download.openmmlab.com/mmaction/v1.0"
_PSF = "https://dl.fbaipublicfiles.com/pyslowfast/model_zoo"
_PTV = "https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo"


@dataclass(frozen=True)
class Checkpoint:
    """One file of a model zoo.

    Attributes:
        name: what ``alphaction download-weights`` calls it.
        zoo: who published it.
        model: depth, frames of the slow pathway x distance between them.
        data: what it was trained on.
        score: as published there: top-1 in percent on Kinetics, mAP in percent on AVA; "" where none is given.
        url: "" where the file is behind a page that asks for consent.
        sha256: first digits of the file's SHA-256, "" where unknown.
        file: name of the file.
        doubt: why the file may be of no use here, "" where no reason is known.
    """

    name: str
    zoo: str
    model: str
    data: str
    score: str
    url: str = ""
    sha256: str = ""
    file: str = ""
    doubt: str = ""


def _mm(name: str, model: str, data: str, score: str, kind: str, config: str, stamp: str) -> Checkpoint:
    file = f"{config}_{stamp}.pth"
    return Checkpoint(
        name, "MMAction2", model, data, score, f"{_MM}/{kind}/slowfast/{config}/{file}", stamp.split("-")[1], file
    )


def _fair(zoo: str, name: str, model: str, data: str, score: str, url: str, doubt: str = "") -> Checkpoint:
    return Checkpoint(name, zoo, model, data, score, url, "", PurePosixPath(url).name, doubt)


def _behind_page(name: str, model: str, data: str, score: str, file: str) -> Checkpoint:
    return Checkpoint(name, "AlphAction", model, data, score, file=file)


# The file does not tell their kind (pooling, softmax or not) either.
_NONLOCAL = (
    "it may have non-local blocks after single blocks of res4, which the backbone here does not have; "
    "alphaction convert-weights then refuses it"
)
_REC, _DET = "recognition", "detection"
CHECKPOINTS: tuple[Checkpoint, ...] = (
    _mm(
        "mmaction2_r50_4x16_k400",
        "R50 4x16",
        "Kinetics-400",
        "75.55",
        _REC,
        "slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb",
        "20220901-701b0f6f",
    ),
    _mm(
        "mmaction2_r50_8x8_k400",
        "R50 8x8",
        "Kinetics-400",
        "76.80",
        _REC,
        "slowfast_r50_8xb8-8x8x1-256e_kinetics400-rgb",
        "20220818-1cb6dfc8",
    ),
    _mm(
        "mmaction2_r101_8x8_k400",
        "R101 8x8",
        "Kinetics-400",
        "78.65",
        _REC,
        "slowfast_r101_8xb8-8x8x1-256e_kinetics400-rgb",
        "20220901-9c0e09bd",
    ),
    _mm(
        "mmaction2_r50_4x16_ava21",
        "R50 4x16",
        "AVA 2.1",
        "24.32",
        _DET,
        "slowfast_kinetics400-pretrained-r50_8xb16-4x16x1-20e_ava21-rgb",
        "20220906-5180ea3c",
    ),
    _mm(
        "mmaction2_r50_4x16_context_ava21",
        "R50 4x16",
        "AVA 2.1",
        "25.34",
        _DET,
        "slowfast_kinetics400-pretrained-r50-context_8xb16-4x16x1-20e_ava21-rgb",
        "20220906-5bb4f6f2",
    ),
    _mm(
        "mmaction2_r50_8x8_ava21",
        "R50 8x8",
        "AVA 2.1",
        "25.80",
        _DET,
        "slowfast_kinetics400-pretrained-r50_8xb8-8x8x1-20e_ava21-rgb",
        "20220906-39133ec7",
    ),
    _mm(
        "mmaction2_r50_8x8_ava22",
        "R50 8x8",
        "AVA 2.2",
        "25.90",
        _DET,
        "slowfast_kinetics400-pretrained-r50_8xb6-8x8x1-cosine-10e_ava22-rgb",
        "20220906-d934a48f",
    ),
    _mm(
        "mmaction2_r50_8x8_tmax_ava22",
        "R50 8x8",
        "AVA 2.2",
        "26.41",
        _DET,
        "slowfast_kinetics400-pretrained-r50-temporal-max_8xb6-8x8x1-cosine-10e_ava22-rgb",
        "20220906-13a9078e",
    ),
    _mm(
        "mmaction2_r50_8x8_tmax_focal_ava22",
        "R50 8x8",
        "AVA 2.2",
        "26.65",
        _DET,
        "slowfast_r50-k400-pre-temporal-max-focal-alpha3-gamma1_8xb6-8x8x1-cosine-10e_ava22-rgb",
        "20220906-dd59e26f",
    ),
    _fair(
        "PySlowFast",
        "pyslowfast_r50_4x16_k400",
        "R50 4x16",
        "Kinetics-400",
        "75.6",
        f"{_PSF}/kinetics400/SLOWFAST_4x16_R50.pkl",
    ),
    _fair(
        "PySlowFast",
        "pyslowfast_r50_8x8_k400",
        "R50 8x8",
        "Kinetics-400",
        "77.0",
        f"{_PSF}/kinetics400/SLOWFAST_8x8_R50.pkl",
    ),
    _fair(
        "PySlowFast",
        "pyslowfast_r101_8x8_ava21",
        "R101 8x8",
        "AVA 2.1",
        "28.2",
        f"{_PSF}/ava/SLOWFAST_32x2_R101_50_50_v2.1.pkl",
        _NONLOCAL,
    ),
    _fair(
        "PySlowFast",
        "pyslowfast_r101_8x8_ava22",
        "R101 8x8",
        "AVA 2.2",
        "29.1",
        f"{_PSF}/ava/SLOWFAST_32x2_R101_50_50.pkl",
        _NONLOCAL,
    ),
    _fair(
        "PySlowFast",
        "pyslowfast_r101_16x8_ava22",
        "R101 16x8",
        "AVA 2.2",
        "29.4",
        f"{_PSF}/ava/SLOWFAST_64x2_R101_50_50.pkl",
        _NONLOCAL,
    ),
    _fair(
        "PyTorchVideo",
        "pytorchvideo_r50_4x16_k400",
        "R50 4x16",
        "Kinetics-400",
        "75.34",
        f"{_PTV}/kinetics/SLOWFAST_4x16_R50.pyth",
    ),
    _fair(
        "PyTorchVideo",
        "pytorchvideo_r50_8x8_k400",
        "R50 8x8",
        "Kinetics-400",
        "76.94",
        f"{_PTV}/kinetics/SLOWFAST_8x8_R50.pyth",
    ),
    _fair(
        "PyTorchVideo",
        "pytorchvideo_r101_8x8_k400",
        "R101 8x8",
        "Kinetics-400",
        "77.90",
        f"{_PTV}/kinetics/SLOWFAST_8x8_R101.pyth",
    ),
    _fair(
        "PyTorchVideo",
        "pytorchvideo_r101_16x8_k400",
        "R101 16x8",
        "Kinetics-400",
        "78.70",
        f"{_PTV}/kinetics/SLOWFAST_16x8_R101_50_50.pyth",
    ),
    _fair(
        "PyTorchVideo",
        "pytorchvideo_r50_8x8_ava22",
        "R50 8x8",
        "AVA 2.2",
        "",
        f"{_PTV}/ava/SLOWFAST_8x8_R50_DETECTION.pyth",
    ),
    _behind_page("alphaction_r50_4x16_k700", "R50 4x16", "Kinetics-700", "66.34", "SlowFast-ResNet50-4x16.pth"),
    _behind_page("alphaction_r101_8x8_k700", "R101 8x8", "Kinetics-700", "69.32", "SlowFast-ResNet101-8x8.pth"),
    _behind_page("alphaction_r50_baseline_ava22", "R50 4x16", "AVA 2.2", "26.7", "resnet50_4x16f_baseline.pth"),
    _behind_page("alphaction_r50_parallel_ava22", "R50 4x16", "AVA 2.2", "29.0", "resnet50_4x16f_parallel.pth"),
    _behind_page("alphaction_r50_serial_ava22", "R50 4x16", "AVA 2.2", "29.8", "resnet50_4x16f_serial.pth"),
    _behind_page("alphaction_r50_denseserial_ava22", "R50 4x16", "AVA 2.2", "30.0", "resnet50_4x16f_denseserial.pth"),
    _behind_page("alphaction_r101_baseline_ava22", "R101 8x8", "AVA 2.2", "29.3", "resnet101_8x8f_baseline.pth"),
    _behind_page("alphaction_r101_denseserial_ava22", "R101 8x8", "AVA 2.2", "32.4", "resnet101_8x8f_denseserial.pth"),
)


def find_checkpoint(name: str) -> Checkpoint:
    """The checkpoint called ``name``.

    Raises:
        UserError: there is none.
    """
    found = next((entry for entry in CHECKPOINTS if entry.name == name), None)
    if found is None:
        close = difflib.get_close_matches(name, [entry.name for entry in CHECKPOINTS], cutoff=0.4)
        like = f" such as {' or '.join(close)}" if close else ""
        raise UserError(
            f"There is no checkpoint called {name!r}, expected a name of the table{like}; "
            "alphaction download-weights without a name prints it."
        )
    return found


def format_table() -> str:
    """All checkpoints for a terminal, scores as published by their zoos."""
    rows = [("name", "zoo", "model", "trained on", "score", "download")]
    rows += [
        (
            e.name,
            e.zoo,
            e.model,
            e.data,
            e.score or "-",
            "manual" if not e.url else "yes, may not convert" if e.doubt else "yes",
        )
        for e in CHECKPOINTS
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
