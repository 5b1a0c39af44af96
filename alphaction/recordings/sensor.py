"""Thermal sensors: presets, and the description in a recording's file.

A recording describes its sensor by attributes of the HDF5 file: ``sensor``, the name of a preset, and ``unit``,
``rate``, ``valid_range``, ``packets`` and ``subpages``, which override the preset's values. What the file does not say
is taken from the entry "sensor" of the set's dataset_info.json, a name or an object with the same keys. Without any of
them, frames of 40x60 pixels are those of htpa60x40, and others those of a generic sensor.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from ..annotations.json_files import read_json
from ..errors import UserError
from .units import UNITS

# Each frame with a loss is compared with all sets of packets, of which there are 2 ** packets.
_MAX_PACKETS = 12
KEYS = ("sensor", "unit", "rate", "valid_range", "packets", "subpages")


@dataclass(frozen=True)
class Sensor:
    """A thermal array.

    Attributes:
        shape: rows and columns; (0, 0) in a preset for any shape.
        rate: nominal frames per second, used where a recording has no times; None if the sensor has no usual one.
        unit: unit of the stored values; in a preset, that of integers.
        valid_range: °C between which a value is a temperature; others are lost or dead pixels. It is wider than the
            measuring range, since a value just outside of that is inaccurate, not lost.
        packets: pixels of each packet of a frame in order of arrival; None where frames arrive whole.
        subpages: whether each frame refreshes one half of the pixels only, those of one color of a chessboard.
    """

    shape: tuple[int, int]
    rate: float | None = None
    unit: str = "celsius"
    valid_range: tuple[float, float] = (-100.0, 1000.0)
    packets: tuple[int, ...] | None = None
    subpages: bool = False

    @property
    def pixels(self) -> int:
        """Pixels of a frame."""
        return self.shape[0] * self.shape[1]


SENSORS: dict[str, Sensor] = {
    # Packets and rate: measured in recordings of the sensor's network module (576 pixels are 1,152 bytes).
    "htpa60x40": Sensor((40, 60), 6.0, packets=(576, 576, 576, 576, 96)),
    # Heimann Sensor: the rate follows from the clock and the resolution of the converter (2 to 27 Hz for 32x32 as
    # module makers state it, 20 to 200 Hz for 80x64 as the product text does), so there is no nominal one. The maker's
    # software converts to tenths of a kelvin (dK); its modules are taken to send the same.
    "htpa32x32": Sensor((32, 32), unit="decikelvin"),
    "htpa80x64": Sensor((64, 80), unit="decikelvin"),
    # Melexis, MLX90640 data sheet revision 11: 24 rows of 32 pixels, 0.5 to 64 subpages per second, objects from -40 to
    # 300 °C, and -273.15 °C as a value that a failed pixel may be given. Subpages in a chess pattern are the default. 8
    # Hz is a setting that published recordings use, not a property of the sensor.
    "mlx90640": Sensor((24, 32), 8.0, subpages=True),
    # Melexis, MLX90641 data sheet: 12 rows of 16 pixels, 0.5 to 64 Hz, -40 to 300 °C. Each subpage has all pixels (as
    # the driver mlx9064x documents it). 8 Hz as above.
    "mlx90641": Sensor((12, 16), 8.0),
    # Panasonic, reference specification of AMG88xx (Grid-EYE), July 2019: 8x8 pixels, 10 frames per second or 1;
    # AMG8833 measures 0 to 80 °C in steps of 0.25.
    "amg8833": Sensor((8, 8), 10.0),
    # FLIR, Lepton engineering data sheet 500-0659-00-09 revision 203: 80x60 and 160x120 pixels, below 9 Hz for export
    # (a third of the 26 Hz at which it counts frames), with radiometry (2.5 and 3.5) kelvin in steps of 0.1 or 0.01
    # (TLinear), of which the finer one is assumed.
    "lepton2": Sensor((60, 80), 8.7, unit="centikelvin"),
    "lepton3": Sensor((120, 160), 8.7, unit="centikelvin"),
    # Any other array, with °C.
    "generic": Sensor((0, 0)),
}
_DEFAULT = "htpa60x40"


def find_sensor(name: str) -> Sensor:
    """The preset of that name.

    Raises:
        UserError: there is none; the names are listed.
    """
    found = SENSORS.get(name) if isinstance(name, str) else None
    if found is None:
        raise UserError(
            f"The sensor {str(name)[:200]!r} is unknown, expected one of {', '.join(SENSORS)}: correct the name, or "
            "use generic."
        )
    return found


def default_sensor(shape: tuple[int, ...]) -> Sensor:
    """The sensor of frames of that shape (rows, columns) which nothing describes."""
    rows, columns = shape
    preset = SENSORS[_DEFAULT]
    return preset if (rows, columns) == preset.shape else Sensor((int(rows), int(columns)))


def sensor_name(sensor: Sensor) -> str:
    """The preset that a sensor is, whatever the unit of its values; "generic" where none fits."""
    for name, preset in SENSORS.items():
        if replace(sensor, unit=preset.unit) == preset:
            return name
    return "generic"


def describe(sensor: Sensor) -> dict[str, object]:
    """Attributes from which :func:`read_sensor` makes the sensor again; none for htpa60x40."""
    if sensor == SENSORS[_DEFAULT]:
        return {}
    name = sensor_name(sensor)
    preset = SENSORS[name]
    changed = {
        field.name: getattr(sensor, field.name)
        for field in fields(sensor)
        if field.name not in ("shape", "unit") and getattr(sensor, field.name) != getattr(preset, field.name)
    }
    return {"sensor": name, "unit": sensor.unit, **{key: value for key, value in changed.items() if value is not None}}


def read_sensor(
    source: str,
    shape: tuple[int, int],
    attributes: Mapping[str, object],
    fallback: Mapping[str, object],
    integers: bool = True,
) -> Sensor:
    """The sensor of frames of that shape, as described.

    Args:
        source: subject of the error's sentence.
        shape: rows and columns of the frames.
        attributes: of the file; the keys of ``KEYS`` are used.
        fallback: of the set; not used where the file names its sensor.
        integers: whether the values are; a preset's unit is that of integers, and others are °C unless stated.

    Raises:
        UserError: an unknown name or unit, another shape than the named sensor has, or values of the wrong kind.
    """
    found = {} if "sensor" in attributes else {key: fallback[key] for key in KEYS if key in fallback}
    found |= {key: attributes[key] for key in KEYS if key in attributes}
    sensor = default_sensor(shape)
    if "sensor" in found:
        sensor = _preset(source, shape, _text(found["sensor"]))
    if "unit" in found:
        sensor = replace(sensor, unit=_text(found["unit"]))
        if sensor.unit not in UNITS:
            _refuse(source, "unit", sensor.unit, f"one of {', '.join(UNITS)}")
    elif not integers:
        sensor = replace(sensor, unit="celsius")
    if "rate" in found:
        sensor = replace(sensor, rate=_numbers(source, "rate", found["rate"], 1)[0])
        if not 0 < (sensor.rate or 0) < 1e4:
            _refuse(source, "rate", found["rate"], "frames per second above 0")
    if "valid_range" in found:
        low, high = _numbers(source, "valid_range", found["valid_range"], 2)
        if not low < high:
            _refuse(source, "valid_range", found["valid_range"], "a lower and a higher temperature in °C")
        sensor = replace(sensor, valid_range=(low, high))
    if "packets" in found:
        sensor = replace(sensor, packets=_packets(source, found["packets"], sensor.pixels))
    if "subpages" in found:
        sensor = replace(sensor, subpages=bool(_numbers(source, "subpages", found["subpages"], 1)[0]))
    return sensor


def set_description(path: str) -> Mapping[str, object]:
    """The entry "sensor" of the dataset_info.json of the set that a recording belongs to, empty without one."""
    folder = os.path.dirname(path)
    for place in (folder, os.path.dirname(folder) if os.path.basename(folder) == "frames" else None):
        info = os.path.join(place, "dataset_info.json") if place is not None else ""
        if info and os.path.isfile(info):
            content = read_json(info, "data set information")
            found = content.get("sensor") if isinstance(content, dict) else None
            if isinstance(found, dict):
                return found
            return {} if found is None else {"sensor": found}
    return {}


def _preset(source: str, shape: tuple[int, int], name: str) -> Sensor:
    try:
        preset = find_sensor(name)
    except UserError as error:
        raise UserError(f"{source} cannot be read: {error}") from None
    if preset.shape not in (shape, (0, 0)):
        raise UserError(
            f"{source} has 'frames' of {shape[0]}x{shape[1]} pixels and names the sensor {name!r}, expected "
            f"{preset.shape[0]}x{preset.shape[1]} pixels; correct the name, or use generic."
        )
    return replace(preset, shape=shape)


def _packets(source: str, value: object, pixels: int) -> tuple[int, ...]:
    sizes = _numbers(source, "packets", value, None)
    if not 1 <= len(sizes) <= _MAX_PACKETS or min(sizes) < 1 or sum(sizes) != pixels:
        _refuse(source, "packets", value, f"up to {_MAX_PACKETS} numbers of pixels that add up to {pixels}")
    return tuple(int(size) for size in sizes)


def _numbers(source: str, key: str, value: object, count: int | None) -> list[float]:
    try:
        found = np.asarray(value, dtype=np.float64).reshape(-1).tolist()
    except (TypeError, ValueError):
        found = []
    if not found or (count is not None and len(found) != count) or not all(map(math.isfinite, found)):
        _refuse(source, key, value, f"{count} number{'s' if count != 1 else ''}" if count else "numbers")
    return found


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _refuse(source: str, key: str, value: object, expected: str) -> None:
    raise UserError(
        f"{source} has the sensor attribute {key!r} {str(value)[:200]!r}, expected {expected}; correct or remove it."
    )
