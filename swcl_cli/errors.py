"""Define the exceptions that end a command with a short message instead of a traceback."""


class SwclError(Exception):
    """Report a fault that the user can put right: the text says what is wrong, where, and what to do. Exit code 1."""

    exit_code = 1


class UsageError(SwclError):
    """Report a wrong option, preset key or value. Exit code 2."""

    exit_code = 2


class Interrupted(SwclError):
    """Report that SIGINT, SIGTERM or SIGHUP stopped a run whose state is saved: the same command resumes it.

    Exit code 130, as shells expect.
    """

    exit_code = 130


class Diverged(SwclError):
    """Report a loss or gradient that is not finite; a search over learning rates then drops this rate."""


class Unwritten(OSError):
    """Report that standard output or standard error takes no more: nobody reads it, or its disk is full.

    It says nothing of the folder or the workers that are at work meanwhile.
    """
