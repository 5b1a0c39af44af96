"""The plug-in comes before anything of MMAction2, which cannot be imported without it."""

import mmaction2_thermal  # noqa: F401
