"""The marked block in the hosts file, the check for overlapping routes, the firewall rules' marks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local import network
from local.errors import PlatformError

BEFORE = "127.0.0.1 localhost\n# a comment of the user\n10.0.0.7 db.example.org"


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "hosts"
    path.write_text(BEFORE)
    monkeypatch.setattr(network, "HOSTS_FILE", path)
    return path


def test_the_block_is_added_once_and_taken_away_whole(hosts: Path) -> None:
    network.write_hosts(("a.thinkube.test", "b.thinkube.test"))
    network.write_hosts(("a.thinkube.test",))

    assert hosts.read_text().count(network.BEGIN) == 1
    assert "10.251.0.1 a.thinkube.test\n" in hosts.read_text()
    assert "b.thinkube.test" not in hosts.read_text()

    assert network.written_hosts() == ("a.thinkube.test",)

    network.write_hosts(())
    assert hosts.read_text().rstrip("\n") == BEFORE
    assert network.written_hosts() == ()


def test_a_block_without_an_end_is_refused_and_nothing_is_lost(hosts: Path) -> None:
    broken = f"{BEFORE}\n{network.BEGIN}\n10.251.0.1 x\n10.0.0.8 precious.example.org\n"
    hosts.write_text(broken)

    with pytest.raises(PlatformError, match="without its end"):
        network.write_hosts(())
    assert hosts.read_text() == broken


@pytest.mark.parametrize(
    ("routes", "conflict"),
    [
        ([{"dst": "default"}, {"dst": "192.168.1.0/24", "dev": "eth0"}], None),
        ([{"dst": "10.251.0.0/16", "dev": "tkl0"}], None),  # our own
        ([{"dst": "10.0.0.0/8", "dev": "tun0"}], "10.0.0.0/8 dev tun0"),
        ([{"dst": "10.251.3.9", "dev": "wg0"}], "10.251.3.9 dev wg0"),
    ],
)
def test_overlapping_routes_are_found(
    routes: list[dict[str, str]], conflict: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "output", lambda argv: json.dumps(routes))

    assert network.conflict() == conflict


def test_every_rule_on_the_machine_carries_our_mark() -> None:
    for _, rule in network._rules():
        assert rule[rule.index("--comment") + 1] == "thinkube-local"


def test_name_servers_that_the_node_cannot_reach_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {
        "/etc/resolv.conf": "nameserver 127.0.0.53\n",
        "/run/systemd/resolve/resolv.conf": "nameserver 9.9.9.9\nnameserver fe80::1%eth0\nsearch x\n",
    }
    monkeypatch.setattr(Path, "read_text", lambda self: texts[str(self)])

    assert network.upstream_dns() == ["9.9.9.9"]
