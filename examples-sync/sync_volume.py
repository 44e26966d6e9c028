"""The examples' volume: whole snapshots, switched in one step, and what a sync wrote down about itself.

`.snapshots/<folder>/<commit>` is a whole tree, `<folder>` a symbolic link to one of them. A snapshot is made aside and
moved into place, the link is switched by a rename: a reader sees the old state or the new one, never a part.
`<commit>.complete` stands beside a snapshot whose move has ended: moving a folder is not atomic on every network file
system. Leaves alone: everything else on the volume.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
import uuid
from pathlib import Path
from typing import Any

from sync_git import SyncError

SNAPSHOTS, WORK, STATUS, COMPLETE = ".snapshots", ".work", ".status.json", ".complete"
KEPT = 2  # snapshots of a repository: the current one and the one before, which somebody may still be reading


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
                    remove(left)

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
            remove(snapshot)

    def forget_others(self, folders: set[str]) -> list[str]:
        """Remove repositories that are no longer among the settings; their names."""
        gone = [entry.name for entry in self._children(SNAPSHOTS) if entry.name not in folders]
        for folder in gone:
            link = self.root / folder
            if link.is_symlink() and link.readlink().parts[:2] == (SNAPSHOTS, folder):
                link.unlink()
            remove(self.root / SNAPSHOTS / folder)
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


def remove(path: Path) -> None:
    """Remove a file, a link or a folder; what cannot go now goes with a later sync."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
