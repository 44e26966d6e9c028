"""The one exception that the embedded platform shows to people."""

from __future__ import annotations


class PlatformError(Exception):
    """A failure with a remedy: its text is one sentence or two that name the cause and what to do.

    The command line prints the text without a traceback and exits with 1; anything else that is
    raised is a defect and keeps its traceback.
    """
