"""Adds config_files/ to the package that is built; the metadata is in pyproject.toml."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfigurations(build_py):
    """Copies config_files/*.yaml to alphaction/config_files/; an editable install finds them beside the package."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for target, source in self._configurations().items():
                self.mkpath(str(Path(target).parent))
                self.copy_file(source, target)

    def get_output_mapping(self) -> dict[str, str]:
        return {**super().get_output_mapping(), **self._configurations()}

    def _configurations(self) -> dict[str, str]:
        folder = Path(self.build_lib, "alphaction", "config_files")
        return {str(folder / path.name): str(path) for path in sorted(Path("config_files").glob("*.yaml"))}


setup(cmdclass={"build_py": BuildWithConfigurations})
