"""The program's own files, copied for tests that change them: the checkout stays as it is."""

from __future__ import annotations

import shutil
from pathlib import Path

from local.paths import REPO

_FILES = ("__main__.py", "Pulumi.yaml")
_FOLDERS = ("components", "dockerfiles", "examples-sync", "notebooks-profile")


def copy_program(folder: Path) -> Path:
    """All that `pulumi up` reads, in ``folder``, which is made; returns it."""
    folder.mkdir(parents=True)
    for name in _FILES:
        shutil.copy2(REPO / name, folder / name)
    for name in _FOLDERS:
        shutil.copytree(REPO / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder
