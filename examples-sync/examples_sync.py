"""Fetches the examples' repositories onto their volume; runs in a pod of the first Job and of the CronJob.

Owns which commit each folder is brought to, and what is tried again. A failure leaves what is there. Leaves alone: how
git is run (sync_git.py) and the volume's layout (sync_volume.py).

`.status.json` says for each folder: url, ref, commit and its source ("<url> <ref>" that it was fetched from),
lastSuccess and lastAttempt (UTC, ISO 8601), error ("" if none).

Standard library and git only, Python 3.11 or newer: it runs in whatever image the stack names.
Settings come from a JSON file (components/examples.py writes it), the token from the environment, never from a URL
or an argument, which others could read in the process list.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import ssl
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from sync_git import Git, Repository, SyncError
from sync_volume import Volume, remove

ATTEMPTS, PAUSES = 3, (2, 5)  # seconds between attempts
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


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
    remove(bare)
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
        remove(work)
        remove(bare)
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
