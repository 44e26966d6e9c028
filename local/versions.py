"""Every version that the embedded platform pins, in one place.

The Go tools' exact versions stand in ``local/tools/<tool>/go.mod`` (with ``go.sum``); what is
repeated here is what a build must stamp into a binary or what names a cache folder. Python
packages are frozen in ``requirements-dev.txt`` and ``local/requirements-tools/``.
"""

from __future__ import annotations

KUBERNETES = "1.34.4"
PULUMI = "3.256.0"
PULUMI_LANGUAGE_PYTHON = "3.68.0"  # newer ones live in a module that no Go proxy serves
HELM = "3.20.2"
COREDNS = "1.14.5"
ACTIONLINT = "1.7.7"  # of scripts/check, not of the platform
PAUSE = "1"  # our own, in local/tools/pause
KEYCLOAK = "26.4.5"
JUPYTERHUB_CHART = "4.4.0"

# The oldest toolchains that build or run the above.
GO_MINIMUM = (1, 25, 11)
JAVA_MINIMUM = 17

DEBIAN_RELEASE = "bookworm"

# Debian packages: the daemons and tools of the node, the browser of the tests.
DEBIAN_PACKAGES: dict[str, str] = {
    # package: a file that proves it is there
    "containerd": "/usr/bin/containerd",
    "runc": "/usr/sbin/runc",
    "containernetworking-plugins": "/usr/lib/cni/bridge",
    "etcd-server": "/usr/bin/etcd",
    "docker.io": "/usr/sbin/dockerd",
    "docker-registry": "/usr/bin/docker-registry",
    "iptables": "/usr/sbin/iptables",
    "conntrack": "/usr/sbin/conntrack",
    "debootstrap": "/usr/sbin/debootstrap",
    "fuse3": "/usr/bin/fusermount3",
    "iproute2": "/usr/sbin/ip",
    "unzip": "/usr/bin/unzip",
    "curl": "/usr/bin/curl",
    "ca-certificates": "/etc/ssl/certs/ca-certificates.crt",
    "maven": "/usr/bin/mvn",
    "git": "/usr/lib/git-core/git-http-backend",
    "lighttpd": "/usr/sbin/lighttpd",
}
TEST_PACKAGES: dict[str, str] = {
    "chromium": "/usr/bin/chromium",
    "shellcheck": "/usr/bin/shellcheck",
    "libnss3-tools": "/usr/bin/certutil",  # the browser trusts the local CA through its own store
}
JAVA_PACKAGE = "openjdk-17-jre-headless"
# What some of them would start at the next boot, for nobody: systemd units by package.
PACKAGE_UNITS: dict[str, tuple[str, ...]] = {
    "containerd": ("containerd.service",),
    "docker.io": ("docker.service", "docker.socket"),
    "docker-registry": ("docker-registry.service",),
    "etcd-server": ("etcd.service",),
    "lighttpd": ("lighttpd.service",),
}
