"""Print how fast recordings are simulated: ``python -m alphaction.synthetic.simulation [SENSOR] [RECORDINGS]``."""

from __future__ import annotations

import sys
import time

from . import Simulation


def main(sensor: str = "htpa60x40", recordings: str = "10") -> None:
    """Simulate recordings of 80 seconds and print frames per second of processor time."""
    frames, started = 0, time.process_time()
    for seed in range(int(recordings)):
        frames += len(Simulation(seed, sensor).record(80).frames)
    print(f"{sensor}: {frames} frames, {frames / (time.process_time() - started):.0f} frames/s of processor time")


if __name__ == "__main__":
    main(*sys.argv[1:])
