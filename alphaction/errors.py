"""The one exception that means: the user can mend this."""


class UserError(ValueError):
    """A mistake in a file, a key or an argument.

    The message is one sentence that names the file or key, what was found, what was expected and what to do.
    Command-line tools print it without a traceback and exit with status 2.
    """
