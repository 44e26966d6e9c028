"""The command line: `python -m admin <command> --stack NAME`. One line per command; each lives in a room of its own."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from admin.errors import COULD_NOT_RUN, AdminError
from admin.graph.command import graph
from admin.review.command import review
from admin.verify.command import verify

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command()(verify)
app.command()(review)
app.command()(graph)


@app.callback()
def admin() -> None:
    """What an admin runs beside Pulumi."""  # a callback, so that a single command keeps its name


def main() -> None:
    """Run the command; errors for people go to standard error, without a traceback."""
    try:
        app()
    except AdminError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"[red]Error:[/red] {error}", markup=True)
        sys.exit(COULD_NOT_RUN)
    except KeyboardInterrupt:
        Console(stderr=True).print("Interrupted.")
        sys.exit(130)
