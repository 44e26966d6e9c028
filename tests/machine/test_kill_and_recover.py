"""`make up` killed at any step, a power cut, a reboot: the next `make up` completes, and `make down` leaves nothing.

One story: the tests run in this order on one platform, and each starts from what the one before left.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.machine.box import Box

THESIS = "chapter one\n" * 5000


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with us, and will be found under a pid that a pid file names."""
    with subprocess.Popen(["sleep", "3600"]) as process:
        yield process
        process.kill()


@pytest.mark.parametrize(
    ("line", "after", "alone"),
    [
        ("✓ pause ", 0.1, False),  # while the network is made
        ("✓ Network", 0.3, False),  # Keycloak and SeaweedFS are launched, containerd starts
        ("✓ Start etcd", 1.0, False),  # the API server starts
        ("✓ Cluster DNS", 0.5, False),  # Keycloak starts
        ("✓ Debian base image", 1.0, True),  # an image is built: its builder is orphaned
        ("create kubernetes:", 0.0, True),  # Pulumi makes resources: the engine goes on without us
    ],
)
def test_killed(box: Box, line: str, after: float, alone: bool) -> None:
    box.kill_up_at(line, after=after, alone=alone)


def test_the_killed_engine_itself(box: Box) -> None:
    """No orphan saves its state: the engine and its plugins die with `make up`, in the middle of an operation."""
    box.kill_up_at("create docker:", after=0.2)

    assert box.unfinished()


def test_then_up_completes(box: Box) -> None:
    printed = box.make("up")

    assert "cleared up after a killed operation" in printed
    assert not box.unfinished()
    assert "JupyterHub is up" in printed
    assert box.hub_answers()
    folder = box.volume / "ada"
    folder.mkdir(exist_ok=True)
    (folder / "thesis.txt").write_text(THESIS)


def test_a_second_one_at_the_same_time_is_refused_and_the_first_changes_nothing(box: Box) -> None:
    with box.started("up") as first:
        assert first.stdout is not None
        first.stdout.readline()  # it is at work
        refused = box.make("up", fails=True)
        printed = first.stdout.read()

    assert "is changing this platform" in refused
    assert first.returncode == 0, printed
    assert "pulumi up)" in printed
    assert not any(word in printed for word in (" create ", " update ", " replace ", " delete ")), printed
    assert " stopped" not in box.make("status")
    assert box.make("preview").split()[1:2] == ["same"]


def test_power_cut(box: Box, stranger: subprocess.Popen[bytes]) -> None:
    """Every process is gone at once; mounts, links, sockets and pid files are still there."""
    box.kill_all()
    for pid_file in box.run.glob("*.pid"):
        pid_file.write_text(f"{stranger.pid} 1\n")  # the pid belongs to somebody else by now
    box.make("up")

    assert stranger.poll() is None
    assert box.hub_answers()
    assert (box.volume / "ada" / "thesis.txt").read_text() == THESIS


def test_reboot(box: Box) -> None:
    """The network, all mounts and /run are gone too; what lies on the disk is still there."""
    box.kill_all()
    box.forget_what_lay_in_memory()
    box.make("up")

    assert box.hub_answers()
    assert (box.volume / "ada" / "thesis.txt").read_text() == THESIS


def test_down_leaves_nothing_but_users_files(box: Box) -> None:
    box.make("down")

    left = {kind: now - box.before[kind] for kind, now in box.machine().items()}
    gone = {kind: then - box.machine()[kind] for kind, then in box.before.items()}
    assert left.pop("/var/lib") == {box.instance.name}
    assert not any(left.values()), left
    assert not any(gone.values()), gone
    assert [path.name for path in box.state.iterdir()] == ["data"]


def test_down_with_the_data_leaves_nothing_at_all(box: Box) -> None:
    box.make("down", "DATA=delete")

    assert box.machine() == box.before
    assert not box.state.exists()
