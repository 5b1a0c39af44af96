"""``python -m alphaction``: the ``alphaction`` command."""

from .cli import main

if __name__ == "__main__":
    main()
