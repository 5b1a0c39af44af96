"""Copies the configurations into the package when it is built; the metadata is in pyproject.toml."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfigurations(build_py):
    """Adds config_files/*.yaml as alphaction/config_files/; an editable install finds them beside the package."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib, "alphaction", "config_files")
        self.mkpath(str(target))
        for path in sorted(Path("config_files").glob("*.yaml")):
            self.copy_file(str(path), str(target / path.name))


setup(cmdclass={"build_py": BuildWithConfigurations})
