"""The code that runs inside the hub, shipped as a ConfigMap.

Owns which files go there, under which keys. Leaves alone: what the code does, and where the hub mounts it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi
from pulumi_kubernetes.core.v1 import ConfigMap

from components import cluster

PACKAGE = "thinkube_profiles"
SHIM = "50-thinkube.py"
MAX_BYTES = 1_000_000  # the API server takes 1 MiB in all


@dataclass(frozen=True)
class ProfileCodeArgs:
    """Inputs of ProfileCode."""

    cluster: cluster.Cluster
    namespace: pulumi.Output[str]
    folder: Path
    """notebooks-profile/"""


def read_code(folder: Path) -> dict[str, str]:
    """Return file name to text of the package's files and the shim.

    Raises pulumi.RunError if one of the two is missing, the package is not flat, or the whole is too large.
    """
    package, shim = folder / PACKAGE, folder / SHIM
    for path in (package / "__init__.py", shim):
        if not path.is_file():
            raise pulumi.RunError(
                f"{path} is missing: the checkout is incomplete, run `git status` and restore it"
            )
    files = {shim.name: shim.read_text(encoding="utf-8")}
    for path in sorted(package.iterdir()):
        if path.is_file():
            files[path.name] = path.read_text(encoding="utf-8")
        elif path.name != "__pycache__":
            raise pulumi.RunError(
                f"{path}: {PACKAGE} must be flat, since a ConfigMap has no folders; move it up"
            )
    size = sum(len(name) + len(text.encode()) for name, text in files.items())
    if size > MAX_BYTES:
        raise pulumi.RunError(f"{folder} holds {size} bytes, a ConfigMap takes {MAX_BYTES}; make it smaller")
    return files


class ProfileCode(pulumi.ComponentResource):
    """ConfigMap of notebooks-profile/, immutable and autonamed: a change makes a new one, rolls the hub."""

    config_map: pulumi.Output[str]
    """name of the ConfigMap"""
    files: Sequence[str]
    """names of the package's files, without the shim"""

    def __init__(self, name: str, args: ProfileCodeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make the ConfigMap."""
        super().__init__("thinkube:profiles:ProfileCode", name, None, opts)
        code = read_code(args.folder)
        self.files = [key for key in code if key != SHIM]
        config_map = ConfigMap(
            name,
            metadata={"namespace": args.namespace},
            immutable=True,
            data=code,
            opts=cluster.own(self, args.cluster),
        )
        self.config_map = config_map.metadata.name
        self.register_outputs({"config_map": self.config_map})
