"""The only exceptions that become a one-line message instead of a traceback."""


class SwclError(Exception):
    """Something that the user can put right: the text says what is wrong, where, and what to do. Exit code 1."""

    exit_code = 1


class UsageError(SwclError):
    """A wrong option, preset key or value. Exit code 2."""

    exit_code = 2


class Interrupted(SwclError):
    """SIGINT or SIGTERM arrived and the state was saved; the same command goes on. Exit code 130, as shells expect."""

    exit_code = 130


class Diverged(SwclError):
    """Loss or gradient is not finite: of several learning rates that are tried, this one is none."""
