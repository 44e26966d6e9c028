"""What platforms change about the machine is put back by the last one, and by nobody who does not know better."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path

import pytest

from local import machine, processes


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine in a folder: its kernel settings, and a folder of a container tool that was not there before."""
    sysctls = tmp_path / "sys"
    for name in (machine.FORWARDING, *machine.KUBELETS):
        (sysctls / name).parent.mkdir(parents=True, exist_ok=True)
        (sysctls / name).write_text("0\n")
    (tmp_path / "boot").write_text("first\n")
    for name, value in (
        ("SYSCTLS", sysctls),
        ("BOOT_ID", tmp_path / "boot"),
        ("BEFORE", tmp_path / "before.json"),
        ("RUN", tmp_path / "run"),
        ("_LEFTOVERS", (tmp_path / "cni" / "results", tmp_path / "cni", tmp_path / "kubelet")),
        ("_CNI_RESULTS", tmp_path / "cni" / "results"),
        ("_SHIM_SOCKETS", tmp_path / "s"),
        ("other_bridges", list),
    ):
        monkeypatch.setattr(machine, name, value)
    (tmp_path / "kubelet").mkdir()
    return tmp_path


def use(world: Path) -> None:
    """What a platform that runs does."""
    (world / "cni" / "results").mkdir(parents=True)
    for name in (machine.FORWARDING, *machine.KUBELETS):
        (world / "sys" / name).write_text("1")


def values(world: Path) -> set[str]:
    return {(world / "sys" / name).read_text().strip() for name in (machine.FORWARDING, *machine.KUBELETS)}


def test_settings_and_folders_are_as_they_were(world: Path) -> None:
    machine.remember()
    use(world)
    machine.remember()  # a second `make up` does not take the changed values for the machine's
    machine.put_back()

    assert values(world) == {"0"}
    assert not (world / "cni").exists()
    assert (world / "kubelet").exists()  # empty too, and there before
    assert not (world / "before.json").exists()
    machine.put_back()  # safe to repeat


def test_what_another_platform_needs_stays_until_it_goes(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.remember()
    use(world)
    monkeypatch.setattr(machine, "NAME", "thinkube-local-2")
    machine.remember()
    monkeypatch.setattr(machine, "NAME", "thinkube-local")
    machine.put_back()
    assert values(world) == {"1"}

    monkeypatch.setattr(machine, "NAME", "thinkube-local-2")
    machine.put_back()
    assert values(world) == {"0"}


def test_after_a_reboot_the_kernels_own_values_are_not_overwritten(world: Path) -> None:
    machine.remember()
    use(world)
    (world / "boot").write_text("second\n")
    for name in machine.KUBELETS:
        (world / "sys" / name).write_text("7")
    machine.put_back()

    assert values(world) == {"7", "1"}
    assert not (world / "cni").exists()  # what lay on the disk is still ours to remove


def test_routing_stays_on_for_bridges_of_others(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.remember()
    use(world)
    monkeypatch.setattr(machine, "other_bridges", lambda: ["docker0"])
    machine.put_back()

    assert (world / "sys" / machine.FORWARDING).read_text() == "1"
    assert (world / "sys" / "vm/overcommit_memory").read_text() == "0"


def test_only_the_notes_of_our_pods_go(world: Path) -> None:
    ours, theirs, another = ("a" * 64, "b" * 64, "c" * 64)
    (world / "cni" / "results").mkdir(parents=True)
    for name in (
        f"thinkube-local-{ours}-eth0", f"cni-loopback-{ours}-lo",
        f"podman-{theirs}-eth0", f"cni-loopback-{theirs}-lo", f"thinkube-local-2-{another}-eth0",
    ):  # fmt: skip
        (world / "cni" / "results" / name).touch()
    machine.put_back()

    assert {path.name for path in (world / "cni" / "results").iterdir()} == {
        f"podman-{theirs}-eth0", f"cni-loopback-{theirs}-lo", f"thinkube-local-2-{another}-eth0",
    }  # fmt: skip


def test_only_sockets_that_nobody_answers_on_go(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = world / "s"
    folder.mkdir()
    monkeypatch.chdir(folder)  # socket paths are short
    alive = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    alive.bind("alive")
    alive.listen()
    for name in ("dead", "newborn", "told"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as gone:
            gone.bind(name)
    for name in ("alive", "dead"):
        os.utime(name, (time.time() - 120,) * 2)
    bundle = world / "run/containerd-state/io.containerd.runtime.v2.task/k8s.io/pod"
    bundle.mkdir(parents=True)
    (bundle / "address").write_text(f"unix://{folder}/told")
    machine.put_back()

    assert {path.name for path in folder.iterdir()} == {"alive", "newborn"}
    alive.close()


def test_a_running_shims_socket_is_known_by_what_it_was_started_with(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The digest is one that containerd 1.6.20 made of these three."""
    shim = [
        *("/usr/bin/containerd-shim-runc-v2", "-namespace", "k8s.io"),
        *("-id", "6cf67611b56e74d10305bdb5b119bd580d1d890ccf0062bec54d3bc2d4e8ebde"),
        *("-address", "/run/thinkube-local/containerd/containerd.sock"),
    ]
    monkeypatch.setattr(processes, "below", lambda folder: {7, 8})
    monkeypatch.setattr(processes, "command_line", lambda pid: shim if pid == 7 else ["/usr/bin/etcd"])

    assert {path.name for path in machine.shim_sockets()} == {
        "d876fe176536f5d6f0b2573188eedb1ea5bfb7df125e2c73982ca1f03cc051e6"
    }


def test_the_note_is_plain_json_for_people_who_look(world: Path) -> None:
    machine.remember()
    assert json.loads((world / "before.json").read_text())["platforms"] == ["thinkube-local"]
