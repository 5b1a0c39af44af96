"""Action ids <-> packed bits <-> label columns.

In memory and in result files labels are kept as bits in the order of ``np.packbits`` (first column = highest bit of
byte 0): C classes in ceil(C / 8) bytes, AVA's 80 actions in 10, the 14 thermal classes in 2, of which bits 14 and 15
stay 0. AVA's action ids start at 1 (column = id - 1), the 14 thermal category ids at 0 (column = id).
"""

from __future__ import annotations

import numpy as np

NUM_AVA_CLASSES = 80
# AVA's action ids 1 to 14 are poses, of which a person has one.
NUM_AVA_POSES = 14
NUM_THERMAL_CLASSES = 14
THERMAL_CLASSES = (
    "sitting",
    "standing",
    "walking",
    "lying down-lying with risk",
    "lying down-lying on the bed/couch",
    "leaning",
    "transition-normal transition",
    "transition-lying with risk transition",
    "transition-lying on the bed transition",
    "lower position-other",
    "lower position-kneeling",
    "lower position-bending",
    "lower position-crouching",
    "other",
)
# What the classes have in common, for a coarse score: name -> classes.
THERMAL_GROUPS = {
    "sitting": ("sitting",),
    "standing, walking, leaning": ("standing", "walking", "leaning"),
    "lying": ("lying down-lying with risk", "lying down-lying on the bed/couch"),
    "transitions": (
        "transition-normal transition",
        "transition-lying with risk transition",
        "transition-lying on the bed transition",
    ),
    "low positions and other": (
        "lower position-other",
        "lower position-kneeling",
        "lower position-bending",
        "lower position-crouching",
        "other",
    ),
}

# Actions of AVA that are common in everyday video, those of AlphAction's practical model.
COMMON_AVA_CLASSES = (
    "dance",
    "run/jog",
    "sit",
    "stand",
    "swim",
    "walk",
    "answer phone",
    "carry/hold (an object)",
    "drive (e.g., a car, a truck)",
    "play musical instrument",
    "ride (e.g., a bike, a car, a horse)",
    "fight/hit (a person)",
    "listen to (a person)",
    "talk to (e.g., self, a person, a group)",
    "watch (a person)",
)

# Names of a class that says only that there is a person, in lower case.
PERSON_NAMES = ("person", "people", "persons", "pedestrian", "human")


def pack(columns: np.ndarray) -> np.ndarray:
    """Label columns 0/1 [..., C] -> packed bits uint8 [..., ceil(C / 8)]."""
    return np.packbits(np.asarray(columns, dtype=bool), axis=-1)


def unpack(packed: np.ndarray, num_classes: int) -> np.ndarray:
    """Packed bits uint8 [..., B] -> label columns uint8 [..., num_classes].

    Columns beyond the packed bits are 0 (a head with more classes than the data set has).
    """
    packed = np.asarray(packed, dtype=np.uint8)
    bits = np.unpackbits(packed, axis=-1, count=min(num_classes, 8 * packed.shape[-1]))
    missing = num_classes - bits.shape[-1]
    if missing:
        bits = np.concatenate([bits, np.zeros((*bits.shape[:-1], missing), dtype=np.uint8)], axis=-1)
    return bits
