"""Which embedded platform of this machine is meant: names and addresses that two of them must not share.

The environment variable ``THINKUBE_LOCAL_INSTANCE`` (1 to 9, default 1) selects it. Tests that kill and remove a whole
platform take one of their own, so that they never touch what `make up` made for the user. Pure: reads nothing else.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

VARIABLE = "THINKUBE_LOCAL_INSTANCE"
NUMBERS = range(1, 10)


@dataclass(frozen=True)
class Instance:
    """One platform's number (1 to 9), and all that follows from it."""

    number: int

    @property
    def name(self) -> str:
        """Its folders below /var/lib and /run, network namespace, cgroup, node, and mark in firewall and hosts file."""
        return "thinkube-local" if self.number == 1 else f"thinkube-local-{self.number}"

    @property
    def link(self) -> str:
        """The machine's end of the link; the kernel takes 15 characters."""
        return f"tkl{self.number - 1}"

    @property
    def prefix(self) -> str:
        """The first two bytes of its /16: 10.251 for the first, 10.250 for the second..."""
        return f"10.{252 - self.number}"

    @property
    def domain(self) -> str:
        return "thinkube.test" if self.number == 1 else f"thinkube{self.number}.test"

    @property
    def port_offset(self) -> int:
        """Added to SeaweedFS's ports: it makes sockets in /tmp that carry nothing but the port."""
        return 100 * (self.number - 1)


def chosen(text: str | None) -> Instance:
    """The instance that the variable's value names; ends the program with a sentence when it names none."""
    if not text:
        return Instance(1)
    if text not in map(str, NUMBERS):
        raise SystemExit(
            f"{VARIABLE} is '{text}' and must be a number from 1 to 9: unset it for the first platform."
        )
    return Instance(int(text))


INSTANCE = chosen(os.environ.get(VARIABLE))
