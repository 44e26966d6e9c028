"""Debian packages: installs what is missing, starts nothing.

Packages such as docker.io start a system daemon when installed and at each boot; a machine's own Docker or etcd is
none of our business, so services of packages that come new are kept from both.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from local import versions
from local.shell import run, succeeds

POLICY = Path("/usr/sbin/policy-rc.d")
_OURS = "#!/bin/sh\n# thinkube-local: while it installs packages\nexit 101\n"


def missing_packages(wanted: Mapping[str, str]) -> list[str]:
    """Those packages whose proving file is not there."""
    return [package for package, proof in wanted.items() if not Path(proof).exists()]


def install(*, with_tests: bool) -> list[str]:
    """Install the missing Debian packages; returns their names.

    Raises PlatformError naming the log when apt fails.
    """
    wanted = {**versions.DEBIAN_PACKAGES, **(versions.TEST_PACKAGES if with_tests else {})}
    packages = missing_packages(wanted)
    if java_version() < versions.JAVA_MINIMUM:
        packages.append(versions.JAVA_PACKAGE)
    if not packages:
        return []
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    remedy = "Check the machine's apt sources (`apt-get update`) and its free disk space, then run the command again."
    run(["apt-get", "update", "-qq"], log="apt", what="read the Debian package lists", remedy=remedy, env=env)
    with _services_held():
        run(
            # a fresh machine may be updating itself just now: wait for dpkg's lock
            [
                "apt-get",
                "install",
                "-y",
                "--no-install-recommends",
                "-o",
                "DPkg::Lock::Timeout=300",
                *packages,
            ],
            log="apt",
            what=f"install the Debian packages {' '.join(packages)}",
            remedy=remedy,
            env=env,
        )
    _disable(packages)
    return packages


def _disable(installed: list[str]) -> None:
    """Keep what was just installed from starting at the next boot; nothing to do where systemd is not."""
    units = [unit for package in installed for unit in versions.PACKAGE_UNITS.get(package, ())]
    if units and shutil.which("systemctl"):
        succeeds(["systemctl", "disable", "-q", *units])


def java_version() -> int:
    """The major version of the Java on PATH; 0 when there is none."""
    if shutil.which("java") is None:
        return 0
    text = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    with contextlib.suppress(IndexError, ValueError):
        return int(text.split('"')[1].split(".")[0])
    return 0


@contextlib.contextmanager
def _services_held() -> Iterator[None]:
    """Let no package start a service meanwhile (Debian policy 9.3.3.1: policy-rc.d, 101 = forbidden)."""
    if POLICY.exists() and POLICY.read_text() != _OURS:  # ours is left over from an install that was killed
        yield
        return
    POLICY.write_text(_OURS)
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
