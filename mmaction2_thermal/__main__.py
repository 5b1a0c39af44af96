"""Run MMAction2's ``tools/train.py`` and ``tools/test.py``, which its wheel installs in ``mmaction/.mim``.

python -m mmaction2_thermal train CONFIG [options], python -m mmaction2_thermal test CONFIG CHECKPOINT [options];
on two GPUs: torchrun --nproc_per_node=2 -m mmaction2_thermal train CONFIG --launcher pytorch
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import mmaction

from alphaction.errors import UserError


def main() -> None:
    """Run the script that the first argument names with the remaining arguments.

    A mistake of the user gives one sentence and exit status 2.
    """
    if len(sys.argv) < 2 or sys.argv[1] not in ("train", "test"):
        print(f"{__doc__}\nAll options: python -m mmaction2_thermal train --help", file=sys.stderr)
        sys.exit(2)
    script = Path(mmaction.__file__).parent / ".mim" / "tools" / f"{sys.argv[1]}.py"
    try:
        if not script.is_file():
            raise UserError(
                f"MMAction2 has no {script}, expected the script from its wheel; if MMAction2 was installed from its "
                f"repository, run tools/{script.name} there."
            )
        sys.argv = [str(script), *sys.argv[2:]]
        runpy.run_path(str(script), run_name="__main__")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
