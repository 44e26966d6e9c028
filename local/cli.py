"""The command line behind the Makefile: ``python -m local <command>``."""

from __future__ import annotations

import os
import shutil
import sys
import time
from typing import Annotated

import typer

from local import credentials as credential_store
from local import locks, platform, preflight, stack, teardown
from local.engine import EngineError, Summary
from local.errors import PlatformError
from local.paths import CA_FILE, CREDENTIALS, KUBECONFIG, LOGS
from local.progress import console, step

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)


@app.command()
def up() -> None:
    """Bring up the embedded platform and JupyterHub on it; safe to repeat."""
    with locks.platform():
        _up()


def _up() -> None:
    started = time.monotonic()
    built = platform.up(platform.USER)
    credentials = credential_store.load()
    user_stack = stack.open_stack(platform.USER, credentials)
    with step("Stack configuration"):
        stack.configure(user_stack, platform.USER, credentials, built)
    with step("JupyterHub (pulumi up)") as line:
        summary = stack.deploy(user_stack, platform.USER)
        line.note = _counts(summary)
    url = user_stack.outputs()["url"]
    console.print(f"\nJupyterHub is up after {time.monotonic() - started:.0f} s: [bold]{url}[/bold]")
    for name, password in credentials.users.items():
        role = "admin" if name == credential_store.ADMIN_USER else "user"
        console.print(f"  {role:5}  user name [bold]{name}[/bold]  password [bold]{password}[/bold]")
    console.print(f"The browser must trust the CA {CA_FILE}. For kubectl: export KUBECONFIG={KUBECONFIG}")
    console.print(
        f"Logs: {LOGS}. Passwords: {CREDENTIALS}. `make status` shows the parts, `make down` removes it all."
    )


@app.command()
def down(
    delete_data: Annotated[bool, typer.Option(help="Delete users' files, passwords and the CA too.")] = False,
) -> None:
    """Remove the stack and the platform; users' files stay unless asked otherwise."""
    preflight.check((preflight.root,))
    with locks.platform():
        _down(delete_data=delete_data)


def _down(*, delete_data: bool) -> None:
    if platform.is_up():
        teardown.end_orphans()
        credentials = credential_store.load()
        with step("JupyterHub (pulumi destroy)") as line:
            try:
                line.note = _counts(stack.open_stack(platform.USER, credentials).destroy())
            except (EngineError, OSError) as failure:
                # The cluster goes anyway; what the state still lists is read anew by the next `up`.
                line.note = f"not clean, the next `make up` mends it: {str(failure).splitlines()[0]}"
    platform.down(delete_data=delete_data)
    if not delete_data:
        console.print(
            "Users' files, passwords and the CA stay: `make up` finds them again, `make down DATA=delete` removes them."
        )


@app.command()
def status() -> None:
    """What runs, whether it answers, and where its log is."""
    preflight.check((preflight.root,))
    rows = platform.status()
    if not rows:
        console.print("The embedded platform is not set up: `make up`.")
        raise typer.Exit(1)
    # plain lines, not a table: a path that is wrapped or cut short cannot be opened
    for name, state, log in rows:
        colour = {"running": "green", "stopped": "red"}.get(state, "yellow")
        console.print(f"{name:24}[{colour}]{state:16}[/{colour}]{log}")
    if any(state != "running" for _, state, _ in rows):
        raise typer.Exit(1)


@app.command()
def preview() -> None:
    """What `pulumi up` would change on the embedded platform."""
    preflight.check((preflight.root,))
    if not platform.is_up():
        raise PlatformError("The embedded platform does not run: `make up` first.")
    user_stack = stack.open_stack(platform.USER, credential_store.load())
    summary = user_stack.preview()
    console.print(f"{_counts(summary)}  [dim]{summary.seconds:.1f} s[/dim]")


@app.command(name="exec", context_settings={"ignore_unknown_options": True})
def run(
    command: Annotated[list[str], typer.Argument(help="The command and its arguments, after `--`.")],
) -> None:
    """Run a command in the environment of the embedded platform's stack `local`: PATH with pulumi, backend,
    passphrase, configuration file, kubeconfig and CAs. Its exit code becomes this one's.
    """
    preflight.check((preflight.root,))
    if not platform.is_up():
        raise PlatformError("The embedded platform does not run: `make up` first.")
    environment = stack.open_stack(platform.USER, credential_store.load()).command_env
    program = shutil.which(command[0], path=environment["PATH"])
    if program is None:
        raise PlatformError(f"{command[0]} is not on PATH.")
    sys.stdout.flush()
    os.execve(program, command, environment)  # noqa: S606 (a list of arguments, no shell)


def _counts(summary: Summary) -> str:
    return ", ".join(f"{count} {op}" for op, count in sorted(summary.counts.items())) or "nothing to do"


def main() -> None:
    try:
        app()
    except (PlatformError, EngineError) as failure:
        console.print(f"\n[red]{type(failure).__name__.removesuffix('Error')}:[/red] {failure}", style=None)
        sys.exit(1)
    except KeyboardInterrupt:
        console.print("\nInterrupted. The same command goes on from here; `make down` cleans up.")
        sys.exit(130)
