"""The one exception that the admin's commands show to people."""

from __future__ import annotations

CHECK_FAILED = 1
COULD_NOT_RUN = 2


class AdminError(Exception):
    """A command could not run; its text is one sentence or two that name the cause and what to do.

    The command line prints the text without a traceback and exits with COULD_NOT_RUN.
    """
