"""Drives the real Pulumi command line for one stack of one program folder.

Owns the stack's private folder (file backend, Pulumi home, config file), so that no command writes
into the program's folder. Leaves alone where tools, plugins and the passphrase come from: the caller
hands them in. What happened is read from the engine's event log, never from text meant for people.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from local import checkpoint, processes
from local.eventlog import Change, Summary, followed

__all__ = ["PROVIDERS", "Change", "EngineError", "Stack", "Summary"]

PROVIDERS = Path(__file__).resolve().parent / "providers" / "bin"
"""Folder of the stand-in provider plugins; put it on ``Stack(path=...)`` where the official ones are not to
be had.
"""


PATIENCE = 60.0
"""Seconds that an interrupted operation may take to save its state."""


class EngineError(Exception):
    """An operation failed; the text carries the engine's own diagnostics, ``summary`` what was done until
    then.
    """

    def __init__(self, text: str, summary: Summary | None = None) -> None:
        super().__init__(text)
        self.summary = summary or Summary("unknown")


class Stack:
    """One stack: ``folder`` (0700) keeps its backend, home and config; ``path`` goes before PATH (CLI,
    venv, plugins).

    ``env`` is added to the caller's environment; ``report`` gets one line per step while an operation runs.
    """

    def __init__(
        self,
        program: Path,
        name: str,
        *,
        folder: Path,
        passphrase: str,
        path: Sequence[Path] = (),
        env: Mapping[str, str] | None = None,
        report: Callable[[str], None] | None = None,
    ) -> None:
        self.program = program.resolve()
        self.name = name
        self.folder = folder
        self.report = report
        self.project: str = _yaml(self.program / "Pulumi.yaml")["name"]
        self._desk = folder / "project" / self.project
        self.config_file = self._desk / f"Pulumi.{name}.yaml"
        backend = folder / "backend"
        for created in (folder, backend, self._desk):
            created.mkdir(parents=True, exist_ok=True, mode=0o700)
        ambient = {key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")}
        self.env = {
            **ambient,
            "PATH": os.pathsep.join([*map(str, path), os.environ.get("PATH", os.defpath)]),
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{backend}",
            "PULUMI_CONFIG_PASSPHRASE": passphrase,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_DEBUG_COMMANDS": "true",  # the CLI knows --event-log only with this
            **(env or {}),
        }

    @property
    def command_env(self) -> dict[str, str]:
        """Environment in which a plain ``pulumi ... --stack NAME``, run in the program's folder, finds state and
        configuration of this stack.

        ``PULUMI_OPTION_<FLAG>`` is the CLI's own way to give a flag once for all commands (seen with 3.256).
        """
        return {**self.env, "PULUMI_OPTION_CONFIG_FILE": str(self.config_file)}

    def init(self) -> None:
        """Make the stack if it does not exist; its config file is made beside a copy of the project file,
        not in the program.
        """
        text = (self.program / "Pulumi.yaml").read_bytes()
        if not (self._desk / "Pulumi.yaml").exists() or (self._desk / "Pulumi.yaml").read_bytes() != text:
            (self._desk / "Pulumi.yaml").write_bytes(text)
        if self._checkpoint.exists():
            return
        self._cli(["stack", "init", self.name, "--secrets-provider", "passphrase"], desk=True)

    def set_config(
        self, plain: Mapping[str, Any] | None = None, secrets: Mapping[str, str] | None = None
    ) -> None:
        """Set keys: ``plain`` values may be objects; ``secrets`` are encrypted by the CLI, which gets them
        on its standard input.

        Keys without a namespace get the project's. A secret that has this value already is not written again.
        """
        self.init()
        content = _yaml(self.config_file)
        config = {
            **content.get("config", {}),
            **{self._key(key): value for key, value in (plain or {}).items()},
        }
        if config != content.get("config", {}):
            content["config"] = config
            self.config_file.write_text(yaml.safe_dump(content, sort_keys=True))
        known: dict[str, Any] = {}
        if secrets and any(self._key(key) in config for key in secrets):
            known = json.loads(self._cli([*self._config("config"), "--show-secrets", "--json"], desk=True))
        for key, value in (secrets or {}).items():
            if known.get(self._key(key), {}).get("value") != value:
                self._cli(
                    [*self._config("config"), "set", "--secret", self._key(key)], desk=True, stdin=value
                )

    def load_config(self, source: Path) -> None:
        """Take the config of a stack file: its keys replace all plain ones, secrets set before stay."""
        self.init()
        content = _yaml(self.config_file)
        kept = {
            k: v for k, v in content.get("config", {}).items() if isinstance(v, dict) and set(v) == {"secure"}
        }
        content["config"] = {
            **{self._key(k): v for k, v in (_yaml(source).get("config") or {}).items()},
            **kept,
        }
        self.config_file.write_text(yaml.safe_dump(content, sort_keys=True))

    def preview(self, *, refresh: bool = False) -> Summary:
        """What ``up`` would do. Raises EngineError when the program or a provider refuses."""
        return self._operation("preview", ["--refresh"] if refresh else [])

    def up(self, *, refresh: bool = False, targets: Sequence[str] = ()) -> Summary:
        """Bring the world to what the program says; without a preview first. Raises EngineError."""
        extra = [argument for urn in targets for argument in ("--target", urn)]
        return self._operation("up", ["--yes", "--skip-preview", *(["--refresh"] if refresh else []), *extra])

    def refresh(self, *, drop_unfinished: bool = False) -> Summary:
        """Read the world into the state; ``changes`` is the drift. Raises EngineError.

        ``drop_unfinished``: forget creations that a killed operation may or may not have come to.
        """
        extra = ["--clear-pending-creates"] if drop_unfinished else []
        return self._operation("refresh", ["--yes", "--skip-preview", *extra])

    def unfinished(self) -> list[dict[str, Any]]:
        """The steps that a killed operation had begun: each a ``type`` (creating, updating...) and the ``resource``."""
        return checkpoint.unfinished(self._checkpoint)

    def destroy(self) -> Summary:
        """Delete what the state holds (retained resources only leave the state). Raises EngineError."""
        return self._operation("destroy", ["--yes", "--skip-preview"])

    def outputs(self, *, show_secrets: bool = False) -> dict[str, Any]:
        """The program's exports; secret ones are ``[secret]`` unless asked for."""
        flags = ["--show-secrets"] if show_secrets else []
        answer = self._cli(["stack", "output", "--json", "--stack", self.name, *flags], desk=True)
        exports: dict[str, Any] = json.loads(answer)
        return exports

    def export(self) -> dict[str, Any]:
        """The deployment document as stored, secrets encrypted."""
        document: dict[str, Any] = json.loads(self._cli(["stack", "export", "--stack", self.name], desk=True))
        return document

    def unlock(self) -> None:
        """Release the lock that a killed operation left; harmless when there is none."""
        self._cli(["cancel", "--yes", "--stack", self.name], desk=True)

    @property
    def _checkpoint(self) -> Path:
        return self.folder / "backend/.pulumi/stacks" / self.project / f"{self.name}.json"

    def _key(self, key: str) -> str:
        return key if ":" in key else f"{self.project}:{key}"

    def _config(self, *command: str) -> list[str]:
        return [*command, "--stack", self.name, "--config-file", str(self.config_file)]

    def _cli(self, arguments: Sequence[str], *, desk: bool, stdin: str | None = None) -> str:
        """Run the CLI in the stack's own folder (``desk``) or the program's; its standard output."""
        with subprocess.Popen(
            ["pulumi", "--non-interactive", "--color", "never", *arguments],
            cwd=self._desk if desk else self.program,
            env={**self.env, **processes.owner_mark()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                # it takes one line end off what it reads
                out, err = process.communicate("" if stdin is None else stdin + "\n")
            except KeyboardInterrupt:
                # The terminal interrupts the CLI too: let it finish what it began, and save its state.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(PATIENCE)
                process.send_signal(signal.SIGINT)
                raise
        if process.returncode != 0:
            raise EngineError(err.strip() or out.strip() or f"pulumi {arguments[0]} failed.")
        return out

    def _operation(self, name: str, flags: Sequence[str]) -> Summary:
        self.init()
        checkpoint.drop_dead_locks(
            self.folder / "backend/.pulumi/locks/organization" / self.project / self.name
        )
        summary = Summary(name)
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="thinkube-engine-") as folder:
            log = Path(folder) / "events"
            log.touch()
            arguments = [*self._config(name), *flags, "--event-log", str(log), "--suppress-outputs"]
            with followed(log, lambda event: summary.take(event, self.report)):
                try:
                    self._cli(arguments, desk=False)
                    failure = ""
                except EngineError as error:
                    failure = str(error)
        summary.seconds = time.monotonic() - start
        if failure:
            raise EngineError(f"pulumi {name} failed:\n{summary.errors() or failure}", summary)
        return summary


def _yaml(path: Path) -> dict[str, Any]:
    return (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}
