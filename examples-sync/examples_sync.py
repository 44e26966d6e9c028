"""Fetches the examples' repositories onto their volume; runs in a pod of the first Job and of the CronJob.

Owns the volume's layout: `.snapshots/<folder>/<commit>` is a whole tree, `<folder>` a symbolic link to one of them.
A snapshot is made aside and moved into place, the link is switched by a rename: a reader sees the old state or the
new one, never a part. `<commit>.complete` stands beside a snapshot whose move has ended: moving a folder is not atomic
on every network file system. A failure leaves what is there. Leaves alone: everything else on the volume.

`.status.json` says for each folder: url, ref, commit and its source ("<url> <ref>" that it was fetched from),
lastSuccess and lastAttempt (UTC, ISO 8601), error ("" if none).

Standard library and git only, Python 3.11 or newer: it runs in whatever image the stack names.
Settings come from a JSON file (components/examples.py writes it), the token from the environment, never from a URL
or an argument, which others could read in the process list.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SNAPSHOTS, WORK, STATUS, COMPLETE = ".snapshots", ".work", ".status.json", ".complete"
KEPT = 2  # snapshots of a repository: the current one and the one before, which somebody may still be reading
ATTEMPTS, PAUSES = 3, (2, 5)  # seconds between attempts
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# what git says (2.30 to 2.51, LC_ALL=C, with OpenSSL or GnuTLS) -> what is wrong, whether trying again is in vain
_CAUSES = (
    (r"could not read (Username|Password)|terminal prompts disabled", "{login}", True),
    (r"Authentication failed|returned error: 40[13]", "{login}", True),
    (
        r"repository '.*' not found|returned error: 404|does not appear to be a git",
        "there is no such repository",
        True,
    ),
    (r"certificate", "its certificate is not trusted; set examples.caBundle", True),
    (r"Could not resolve host", "its host name cannot be resolved", False),
    (
        r"Failed to connect|Connection refused|Connection timed out|Couldn't connect",
        "nothing answers there",
        False,
    ),
    (r"returned error: 5\d\d", "the server is not able to answer now", False),
)


class SyncError(Exception):
    """Why a repository could not be fetched, in half a sentence; `final` if trying again is in vain."""

    def __init__(self, reason: str, *, final: bool) -> None:
        super().__init__(reason)
        self.final = final


@dataclass(frozen=True)
class Repository:
    """One repository of the settings."""

    url: str
    folder: str
    ref: str
    private: bool = False
    username: str = "git"


@dataclass(frozen=True)
class Git:
    """Runs git without prompts, the machine's settings and hooks; everything that it leaves lies in `home`."""

    home: Path
    timeout: float
    ca_file: Path | None = None
    token: str = field(default="", repr=False)
    protocols: str = "https"

    def run(self, repository: Repository, *arguments: str) -> str:
        """Standard output of `git <arguments>`. Raises SyncError with the cause in plain words."""
        process = subprocess.Popen(
            ["git", *arguments],
            env=self._environment(repository),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            output, complaint = process.communicate(timeout=self.timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # git's helpers too: they hold the connection
            process.communicate()
            raise SyncError(f"it did not end within {self.timeout:g} s", final=True) from None
        if process.returncode:
            raise _cause(complaint, repository, self.token)
        return output

    def _environment(self, repository: Repository) -> dict[str, str]:
        passed = ("PATH", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
        settings = {
            "core.hooksPath": "/dev/null",
            "http.lowSpeedLimit": "1000",
            "http.lowSpeedTime": "60",
        }
        if repository.private:
            login = base64.b64encode(f"{repository.username}:{self.token}".encode()).decode()
            settings["http.extraHeader"] = f"Authorization: Basic {login}"
            settings["http.followRedirects"] = "false"  # the token is for this server alone
        environment = {name: os.environ[name] for name in passed if name in os.environ}
        environment |= {
            "HOME": str(self.home),
            "LC_ALL": "C",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "false",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ALLOW_PROTOCOL": self.protocols,
            "GIT_CONFIG_COUNT": str(len(settings)),
        }
        for number, (key, value) in enumerate(settings.items()):
            environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        if self.ca_file:
            environment["GIT_SSL_CAINFO"] = str(self.ca_file)
        return environment


def _cause(complaint: str, repository: Repository, token: str) -> SyncError:
    login = (
        "the server refused examples_token"
        if repository.private
        else "it is not there, or wants a login (then set private and examples_token)"
    )
    for pattern, reason, final in _CAUSES:
        if re.search(pattern, complaint, re.IGNORECASE):
            return SyncError(reason.format(login=login), final=final)
    last = (complaint.strip().splitlines() or ["git failed without a word"])[-1]
    return SyncError(last.replace(token, "***") if token else last, final=False)


class Volume:
    """The examples' volume. Nothing outside of `root` is ever written."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def commit(self, folder: str) -> str:
        """Commit that users see in `folder`; "" if there is none."""
        link = self.root / folder
        if not link.is_symlink():
            return ""
        target = link.readlink()
        ours = target.parts[:-1] == (SNAPSHOTS, folder)
        return target.name if ours and (self.root / target).is_dir() else ""

    def work(self, folder: str) -> Path:
        """A fresh folder on the volume, so that what is made in it can be moved into place."""
        made = self.root / WORK / f"{folder}-{uuid.uuid4().hex}"
        made.mkdir(parents=True)
        return made

    def clean(self, older_than: float) -> None:
        """Remove what a sync left that was killed; not what another one, started by hand, works on just now."""
        for left in self._children(WORK):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - left.lstat().st_mtime > older_than:
                    _remove(left)

    def has(self, folder: str, commit: str) -> bool:
        """Whether the snapshot is there as a whole."""
        snapshot = self.root / SNAPSHOTS / folder / commit
        return snapshot.is_dir() and snapshot.with_name(commit + COMPLETE).is_file()

    def add(self, folder: str, commit: str, work: Path) -> None:
        """Move a finished tree into place."""
        snapshot = self.root / SNAPSHOTS / folder / commit
        if snapshot.is_dir():  # of a sync that was killed while it moved it
            shutil.rmtree(snapshot)
        snapshot.parent.mkdir(parents=True, exist_ok=True)
        work.rename(snapshot)
        snapshot.with_name(commit + COMPLETE).touch()

    def switch(self, folder: str, commit: str) -> None:
        """Let users see `commit`, and keep the snapshot before it."""
        before = self.commit(folder)
        link = self.root / WORK / f"link-{uuid.uuid4().hex}"
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(Path(SNAPSHOTS, folder, commit))
        try:
            link.replace(self.root / folder)
        except OSError as error:  # a folder is in the way: somebody's, so it stays
            link.unlink()
            raise SyncError(
                f"{folder} is on the volume, and is not a link of ours: {error}", final=True
            ) from error
        self.prune(folder, {commit, before})

    def prune(self, folder: str, keep: set[str]) -> None:
        """Remove snapshots but for `keep`, and the newest of the rest as long as there are fewer than KEPT."""
        snapshots = [entry for entry in self._children(SNAPSHOTS, folder) if entry.is_dir()]
        rest = sorted(
            (s for s in snapshots if s.name not in keep), key=lambda s: s.stat().st_mtime, reverse=True
        )
        for snapshot in rest[max(0, KEPT - len(keep - {""})) :]:
            snapshot.with_name(snapshot.name + COMPLETE).unlink(missing_ok=True)
            _remove(snapshot)

    def forget_others(self, folders: set[str]) -> list[str]:
        """Remove repositories that are no longer among the settings; their names."""
        gone = [entry.name for entry in self._children(SNAPSHOTS) if entry.name not in folders]
        for folder in gone:
            link = self.root / folder
            if link.is_symlink() and link.readlink().parts[:2] == (SNAPSHOTS, folder):
                link.unlink()
            _remove(self.root / SNAPSHOTS / folder)
        return gone

    def status(self) -> dict[str, Any]:
        """What the last sync wrote; empty if that is nothing that can be read."""
        try:
            found = json.loads((self.root / STATUS).read_text(encoding="utf-8"))["repositories"]
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        return found if isinstance(found, dict) else {}

    def write_status(self, repositories: dict[str, Any]) -> None:
        """Replace the status file as a whole."""
        fresh = self.root / WORK / f"status-{uuid.uuid4().hex}"
        fresh.parent.mkdir(exist_ok=True)
        fresh.write_text(json.dumps({"repositories": repositories}, indent=2) + "\n", encoding="utf-8")
        fresh.replace(self.root / STATUS)

    def _children(self, *parts: str) -> list[Path]:
        folder = self.root.joinpath(*parts)
        return sorted(folder.iterdir()) if folder.is_dir() else []


def _remove(path: Path) -> None:
    """Remove a file, a link or a folder; what cannot go now goes with a later sync."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def sync(repository: Repository, volume: Volume, git: Git) -> str:
    """Bring one repository's folder to the newest commit of its branch or tag; the commit.

    Raises SyncError; what users see is then what they saw before.
    """
    if not _FOLDER.fullmatch(repository.folder):
        raise SyncError(f"{repository.folder!r} is no name of a folder", final=True)
    reference, tip = _resolve(repository, git)
    if tip == volume.commit(repository.folder):
        volume.prune(repository.folder, {tip})
        return tip
    bare = git.home / f"{repository.folder}.git"
    _remove(bare)
    work = volume.work(repository.folder)
    try:
        git.run(repository, "init", "--quiet", "--bare", "--template=", str(bare))
        where = f"--git-dir={bare}"
        git.run(repository, where, "fetch", "--quiet", "--depth=1", "--no-tags", repository.url, reference)
        commit = git.run(repository, where, "rev-parse", "FETCH_HEAD^{commit}").strip()
        if not volume.has(repository.folder, commit):
            # hooks, filters and attributes of the repository run nothing: no configuration names them
            git.run(repository, where, "-c", "core.bare=false", f"--work-tree={work}", "checkout", "--quiet", "--force",
                    "--detach", commit)  # fmt: skip
            volume.add(repository.folder, commit, work)
        volume.switch(repository.folder, commit)
    finally:
        _remove(work)
        _remove(bare)
    return commit


def _resolve(repository: Repository, git: Git) -> tuple[str, str]:
    """(full name, commit) of the branch or, where there is none, the tag."""
    head, tag = f"refs/heads/{repository.ref}", f"refs/tags/{repository.ref}"
    listed = git.run(repository, "ls-remote", repository.url, head, tag, f"{tag}^{{}}")
    found = {name: commit for commit, _, name in (line.partition("\t") for line in listed.splitlines())}
    if head in found:
        return head, found[head]
    if tag in found:
        return tag, found.get(f"{tag}^{{}}", found[tag])
    raise SyncError(f"it has no branch or tag {repository.ref}", final=True)


def persistent_sync(repository: Repository, volume: Volume, git: Git) -> str:
    """`sync`, tried again where the cause may pass."""
    for pause in PAUSES[: ATTEMPTS - 1]:
        try:
            return sync(repository, volume, git)
        except SyncError as error:
            if error.final:
                raise
            print(f"{repository.url}: {error}; trying again in {pause} s", flush=True)
            time.sleep(pause)
    return sync(repository, volume, git)


@dataclass(frozen=True)
class Failure:
    """One repository that was not brought up to date."""

    sentence: str
    stale: bool
    """users have an earlier snapshot of the same branch or tag"""


def sync_all(repositories: list[Repository], volume: Volume, git: Git) -> list[Failure]:
    """Bring all folders up to date and write the status file; what failed."""
    volume.clean(older_than=max(3600, 2 * len(repositories) * ATTEMPTS * git.timeout))
    before, after, failures = volume.status(), {}, []
    for repository in repositories:
        old = before.get(repository.folder)
        entry = dict(old) if isinstance(old, dict) else {}
        entry |= {"url": repository.url, "ref": repository.ref, "lastAttempt": _now(), "error": ""}
        source = f"{repository.url} {repository.ref}"
        try:
            commit = persistent_sync(repository, volume, git)
            print(f"{repository.folder}: {repository.url} {repository.ref} is at {commit}", flush=True)
            entry |= {"lastSuccess": _now(), "source": source}
        except (SyncError, OSError) as error:
            entry["error"] = f"examples: {repository.url} (branch or tag {repository.ref}): {error}"
            stale = entry.get("source") == source and volume.commit(repository.folder) != ""
            failures.append(Failure(entry["error"], stale))
        entry["commit"] = volume.commit(repository.folder)
        after[repository.folder] = entry
    for folder in volume.forget_others({repository.folder for repository in repositories}):
        print(f"{folder}: removed, it is no longer configured", flush=True)
    volume.write_status(after)
    return failures


def ca_file(private: Path, home: Path) -> Path | None:
    """A file with the system's certificates and those of `private`; None where there are no private ones."""
    if not private.is_file():
        return None
    system = [ssl.get_default_verify_paths().cafile, "/etc/ssl/certs/ca-certificates.crt"]
    known = next((Path(path).read_text() for path in system if path and Path(path).is_file()), "")
    made = home / "ca.crt"
    made.write_text(known + "\n" + private.read_text())
    return made


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def main(settings_file: Path, root: Path, mode: str) -> int:
    """Sync by the settings file onto `root`; the exit code.

    Mode "daily" fails with any repository; "first" only where users would have nothing (or something else), so that
    an update is not held up by a git server that is away later.
    """
    os.umask(0o022)
    settings = json.loads(settings_file.read_text(encoding="utf-8"))
    repositories = [Repository(**item) for item in settings["repositories"]]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        git = Git(
            home=home,
            timeout=settings["timeoutSeconds"],
            ca_file=ca_file(settings_file.parent / "ca.crt", home),
            token=os.environ.pop("EXAMPLES_TOKEN", ""),
        )
        failures = sync_all(repositories, Volume(root), git)
    for failure in failures:
        kept = "; the earlier snapshot stays" if failure.stale else ""
        print(f"{failure.sentence}{kept}", file=sys.stderr, flush=True)
    return 1 if any(mode == "daily" or not failure.stale for failure in failures) else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
