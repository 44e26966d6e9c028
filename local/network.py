"""The node's network: a network namespace joined to the machine by one veth pair.

Everything that Kubernetes does to a machine's network (bridges, kube-proxy's rules, ports 80/443/6443)
happens inside that namespace, so an existing Docker or Kubernetes is left alone and `make down` removes
all of it by removing the namespace. On the machine itself remain: one link, one route, three firewall rules that carry
our comment, a marked block in /etc/hosts, and routing, which ``machine.py`` turns off again.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
from pathlib import Path

from local import locks
from local.errors import PlatformError
from local.paths import HOST_ADDRESS, HOSTS, LINK, NAME, NETNS, NETWORK, NODE_ADDRESS
from local.shell import in_node, output, run, succeeds

BEGIN, END = f"# {NAME} begin", f"# {NAME} end"
HOSTS_FILE = Path("/etc/hosts")
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
_COMMENT = ("-m", "comment", "--comment", NAME)


def _rules() -> list[tuple[str, list[str]]]:
    """Rules on the machine: pods reach the outside (pip in a notebook) behind the machine's address."""
    return [
        ("nat", ["POSTROUTING", "-s", NETWORK, "!", "-o", LINK, *_COMMENT, "-j", "MASQUERADE"]),
        ("filter", ["FORWARD", "-i", LINK, *_COMMENT, "-j", "ACCEPT"]),
        ("filter", ["FORWARD", "-o", LINK, *_COMMENT, "-j", "ACCEPT"]),
    ]


def is_up() -> bool:
    """Whether the namespace and its link are there and the names resolve to the node."""
    return is_linked() and set(HOSTS) <= set(written_hosts())


def is_linked() -> bool:
    """Whether namespace and link were made to the end; the names of a stack that is new here may still be missing."""
    # a namespace that is none any more (a file that a reboot left) is no mount
    alive = os.path.ismount(f"/run/netns/{NETNS}") and Path(f"/sys/class/net/{LINK}").exists()
    return alive and bool(written_hosts())


def other_bridges() -> list[str]:
    """Bridges of the machine itself, none of which is ours: somebody's containers or virtual machines."""
    links = json.loads(output(["ip", "-json", "link", "show", "type", "bridge"]) or "[]")
    return [link["ifname"] for link in links if "ifname" in link]


def conflict() -> str | None:
    """Another route that overlaps our range, in `ip route` form; None when the range is free."""
    ours = ipaddress.ip_network(NETWORK)
    for route in json.loads(output(["ip", "-json", "route"])):
        if route["dst"] == "default" or route.get("dev") == LINK:
            continue
        if ipaddress.ip_network(route["dst"], strict=False).overlaps(ours):
            return f"{route['dst']} dev {route.get('dev', '?')}"
    return None


def up() -> None:
    """Make the namespace, link, route, rules and names. Safe to repeat: what lacks is added.

    The names come last: without any of them a link may be half made, and all starts over.
    """
    if not is_linked():
        down()
        _make_link()
    FORWARDING.write_text("1")
    for table, rule in _rules():
        if not succeeds(["iptables", "-w", "-t", table, "-C", *rule]):
            run(
                ["iptables", "-w", "-t", table, "-I", *rule], log="network", what="let pods reach the outside"
            )
    write_hosts((*written_hosts(), *(name for name in HOSTS if name not in written_hosts())))


def _make_link() -> None:
    for line in (
        f"ip netns add {NETNS}",
        f"ip link add {LINK} type veth peer name eth0 netns {NETNS}",
        f"ip addr add {HOST_ADDRESS}/30 dev {LINK}",
        f"ip link set {LINK} up",
        f"ip -n {NETNS} addr add {NODE_ADDRESS}/30 dev eth0",
        f"ip -n {NETNS} link set lo up",
        f"ip -n {NETNS} link set eth0 up",
        f"ip -n {NETNS} route add default via {HOST_ADDRESS}",
        f"ip route replace {NETWORK} via {NODE_ADDRESS} dev {LINK}",
    ):
        run(
            line.split(),
            log="network",
            what="set up the node's network",
            remedy="Run `make down` and try again.",
        )
    run(in_node(["sh", "-c", f"echo 1 > {FORWARDING}"]), log="network", what="turn on routing in the node")
    # Without it replies between two pods of the bridge pass by kube-proxy's rules, and Services are dead. Where it is
    # built in or the machine has no modules of its own (a container), there is nothing to load.
    succeeds(["modprobe", "-a", "br_netfilter", "overlay"])
    if not Path("/proc/sys/net/bridge").exists():
        raise PlatformError("The kernel module br_netfilter is missing: load it (`modprobe br_netfilter`).")


def down() -> None:
    """Remove all of it; what is not there is no error."""
    write_hosts(())
    for table, rule in _rules():
        while succeeds(["iptables", "-w", "-t", table, "-D", *rule]):
            pass
    for command in (["ip", "link", "del", LINK], ["ip", "netns", "del", NETNS]):
        succeeds(command)


def hosts_block(names: tuple[str, ...]) -> str:
    return f"{BEGIN}\n{NODE_ADDRESS} {' '.join(names)}\n{END}\n"


def written_hosts() -> tuple[str, ...]:
    """The names in our block of /etc/hosts."""
    _, begin, rest = HOSTS_FILE.read_text(errors="surrogateescape").partition(f"{BEGIN}\n")
    line, _, _ = rest.partition("\n")
    return tuple(line.split()[1:]) if begin and line.startswith(NODE_ADDRESS) else ()


def write_hosts(names: tuple[str, ...]) -> None:
    """Replace our marked block in /etc/hosts; an empty ``names`` removes it.

    Written in place, not renamed: in a container /etc/hosts is a mount point.
    """
    with locks.file(HOSTS_FILE):
        before = HOSTS_FILE.read_text(errors="surrogateescape")
        text = _with_block(before, names)
        if text != before:
            # the new content first, then the end: a kill in between loses nobody's lines
            with HOSTS_FILE.open("r+b") as hosts:
                hosts.write(text.encode(errors="surrogateescape"))
                hosts.truncate()


def _with_block(before: str, names: tuple[str, ...]) -> str:
    kept: list[str] = []
    inside = False
    for line in before.splitlines(keepends=True):
        if line.strip() == BEGIN:
            inside = True
        elif line.strip() == END and inside:
            inside = False
        elif not inside:
            kept.append(line)
    if inside:
        raise PlatformError(
            f"{HOSTS_FILE} has '{BEGIN}' without its end: remove that block by hand, then try again."
        )
    text = "".join(kept)
    return text + (("" if text.endswith("\n") or not text else "\n") + hosts_block(names) if names else "")


def upstream_dns() -> list[str]:
    """The machine's real name servers: those of resolv.conf that are no loopback stubs. IPv4 only, as the node is."""
    found: list[str] = []
    for name in ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"):
        with contextlib.suppress(FileNotFoundError):
            for line in Path(name).read_text().splitlines():
                parts = line.split()
                if len(parts) < 2 or parts[0] != "nameserver" or ":" in parts[1]:
                    continue
                if not parts[1].startswith("127."):
                    found.append(parts[1])
        if found:
            break
    return found
