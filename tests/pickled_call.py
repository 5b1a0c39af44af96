"""An object whose pickle asks for a call, for files that try to run code."""

from __future__ import annotations


class Call:
    """Pickles as a call of ``function``."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call
