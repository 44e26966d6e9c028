"""The platform's cgroup on a folder that looks like one: what vanishes while it is read is passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from local import cgroups


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pods with a process each, and one whose list of processes is gone by the time that it is read."""
    root = tmp_path / "thinkube-local"
    for pod, pid in (("a", 11), ("b", 12)):
        (root / "kubepods" / pod).mkdir(parents=True)
        (root / "kubepods" / pod / "cgroup.procs").write_text(f"{pid}\n")
    (root / "kubepods" / "gone").mkdir()
    (root / "kubepods" / "gone" / "cgroup.procs").symlink_to(tmp_path / "nowhere")
    monkeypatch.setattr(cgroups, "folders", lambda: [root, tmp_path / "no-such-hierarchy"])
    return root


def test_processes_of_all_pods_that_are_there(tree: Path) -> None:
    assert cgroups.processes() == {11, 12}


def test_empty_ones_are_removed_from_below(tree: Path) -> None:
    for pod in ("a", "b", "gone"):
        (tree / "kubepods" / pod / "cgroup.procs").unlink()  # in a real one they vanish with the folder

    cgroups.remove()

    assert not tree.exists()
