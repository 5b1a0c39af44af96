"""The error for what a user can fix."""


class UserError(ValueError):
    """Error the user can fix; printed as one line without a traceback.

    The message is one sentence that names the file or key, what was found, what was expected and what to do.
    Command-line tools print it without a traceback and exit with status 2.
    """
