"""Configuration and weight files by path, or by name among those that come with the package."""

from __future__ import annotations

import importlib.resources
import os
from pathlib import Path

from ..errors import UserError, file_problem

SOURCE_FOLDER = Path(__file__).resolve().parents[2] / "config_files"


def find_config_file(name: str | os.PathLike[str]) -> Path:
    """The file at the path ``name``, or else the shipped file of that name, with or without ``.yaml``.

    Raises:
        UserError: there is neither; lists the names.
    """
    path = Path(name)
    if path.is_file():
        return path
    shipped = shipped_config_files()
    if path.name == str(name) and path.name.removesuffix(".yaml") in shipped:
        return shipped[path.name.removesuffix(".yaml")]
    raise UserError(
        f"The configuration file {name} {file_problem(path)}, expected a YAML file or one of the names "
        f"{', '.join(shipped)}; correct --config-file."
    )


def find_weight_file(name: str) -> str:
    """``name``, or the path of the shipped weight file of that name; a file at the path ``name`` comes first."""
    shipped = Path(str(importlib.resources.files("alphaction") / "weights" / f"{name}.pth"))
    is_name = name != "" and Path(name).name == name and not os.path.isfile(name)
    return str(shipped) if is_name and shipped.is_file() else name


def shipped_config_files() -> dict[str, Path]:
    """Name without suffix -> file, from config_files/ of the source tree or of the installed package."""
    packaged = Path(str(importlib.resources.files("alphaction") / "config_files"))
    for folder in (SOURCE_FOLDER, packaged):
        # Installed, SOURCE_FOLDER is beside all packages and may be of another project.
        files = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
        if "thermal_demo" in files:
            return files
    return {}
