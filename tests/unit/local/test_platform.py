"""Machines unlike this one: cgroup v2, another Docker, packages that start services, a stuck mount, a killed update."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from local import cgroups, checkpoint, machine, mounts, network, packages, platform, teardown
from local.containers import _own_containerd
from local.errors import PlatformError


@pytest.fixture
def cgroup_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A cgroup v2 tree as systemd leaves it: cpuset and hugetlb are there and not handed down."""
    folder = tmp_path / "thinkube-local"
    folder.mkdir()
    for cgroup, handed in ((tmp_path, "cpu memory pids"), (folder, "")):
        (cgroup / "cgroup.controllers").write_text("cpuset cpu io memory hugetlb pids rdma\n")
        (cgroup / "cgroup.subtree_control").write_text(handed)
    monkeypatch.setattr(cgroups, "folders", lambda: [folder])
    return tmp_path, folder


def test_kubelets_controllers_are_handed_down_from_the_root_too(
    cgroup_tree: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[Path, str]] = []
    monkeypatch.setattr(Path, "write_text", lambda self, text: written.append((self.parent, text)))
    cgroups.make()

    root, folder = cgroup_tree
    assert [text for where, text in written if where == root] == ["+cpuset", "+hugetlb"]
    assert {text for where, text in written if where == folder} == {
        "+cpu", "+cpuset", "+hugetlb", "+memory", "+pids"
    }  # fmt: skip


def test_a_cgroup_root_with_processes_of_its_own_is_a_sentence(
    cgroup_tree: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, text: str) -> None:
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(PlatformError, match=r"controller 'cpuset'.*resource busy.*move its processes"):
        cgroups.make()


def test_the_machines_containerd_is_never_joined(tmp_path: Path) -> None:
    other = tmp_path / "containerd.sock"
    assert _own_containerd(other) == []
    other.touch()

    assert _own_containerd(other) == ["--containerd=/run/thinkube-local/containerd/containerd.sock"]


@pytest.mark.parametrize("before", [None, packages._OURS, "#!/bin/sh\nexit 0\n"])
def test_services_are_held_for_the_install_only(
    before: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(packages, "POLICY", policy)
    if before:
        policy.write_text(before)
    theirs = before if before != packages._OURS else None  # ours is what a killed install left

    with packages._services_held():
        assert policy.read_text() == (theirs or packages._OURS)
    assert (policy.read_text() if policy.exists() else None) == theirs


def test_down_never_walks_into_what_is_still_mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state, run = tmp_path / "state", tmp_path / "run"
    bound = state / "kubelet" / "pods" / "p" / "volume-subpaths" / "0"
    bound.mkdir(parents=True)
    (bound / "thesis.ipynb").touch()
    run.mkdir()
    for name, value in (("STATE", state), ("RUN", run), ("MOUNTS", state / "mnt"), ("DATA", state / "data")):
        monkeypatch.setattr(teardown, name, value)
    monkeypatch.setattr(teardown, "end_processes", lambda: None)
    monkeypatch.setattr(machine, "put_back", lambda: None)
    monkeypatch.setattr(network, "down", lambda: None)
    monkeypatch.setattr(mounts, "below", lambda *roots: [str(bound)])

    with pytest.raises(PlatformError, match="Still mounted, nothing was removed"):
        teardown.remove(delete_data=True)
    assert (bound / "thesis.ipynb").exists()

    monkeypatch.setattr(mounts, "below", lambda *roots: [])
    teardown.remove(delete_data=False)
    assert not bound.exists()


@pytest.mark.parametrize(
    ("host", "pid", "stays"),
    [
        (socket.gethostname(), 2**22 + 1, False),  # above every pid: nobody
        (socket.gethostname(), os.getpid(), False),  # the pid went to somebody who is no Pulumi
        ("elsewhere", 2**22 + 1, True),
    ],
)
def test_the_lock_of_a_killed_update_does_not_stop_the_next(
    host: str, pid: int, stays: bool, tmp_path: Path
) -> None:
    lock = tmp_path / "a.json"
    lock.write_text(json.dumps({"pid": pid, "hostname": host, "username": "root"}))

    checkpoint.drop_dead_locks(tmp_path)
    assert lock.exists() is stays


def test_a_stack_that_is_new_here_ends_no_process_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name is missing in /etc/hosts, and that is all that is missing."""

    class NamesWritten(Exception):
        pass

    def write_names(names: object) -> None:
        raise NamesWritten

    monkeypatch.setattr(network, "is_linked", lambda: True)
    monkeypatch.setattr(network, "written_hosts", tuple)
    monkeypatch.setattr(network, "write_hosts", write_names)
    monkeypatch.setattr(machine, "remember", lambda: None)
    monkeypatch.setattr(network, "FORWARDING", Path(os.devnull))
    monkeypatch.setattr(network, "succeeds", lambda argv: True)
    monkeypatch.setattr(teardown, "end_processes", lambda: pytest.fail("the platform was stopped"))

    with pytest.raises(NamesWritten):
        platform._start(credentials=None)  # type: ignore[arg-type]
