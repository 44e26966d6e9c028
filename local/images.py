"""Container images of the platform itself: scratch images for the node, a Debian base, the hub and the proxy.

No container registry can be reached, so all of them start from Debian packages (``debootstrap``) or from a static
binary. Builds are cached by content: a tag is a digest of everything that went into the image.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import docker
from docker.errors import ImageNotFound

from local import versions
from local.containers import CTR, PAUSE_IMAGE
from local.errors import PlatformError
from local.paths import BIN, CACHE, DOCKER_SOCKET, LOGS, REGISTRY, REPO
from local.shell import run

BASE_PACKAGES = ("python3", "python3-venv", "python3-pip", "ca-certificates", "tini", "git", "curl")
COREDNS_IMAGE = f"thinkube.local/coredns:{versions.COREDNS}"
# How the machine's own package clients are set up is how builds on it must be: a proxy or a private CA, say.
_BUILD_ENV = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_DEFAULT_TIMEOUT", "NPM_CONFIG_REGISTRY", "HTTP_PROXY",
              "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")  # fmt: skip
_CA_IN_IMAGE = "/etc/ssl/certs/ca-certificates.crt"


def client() -> docker.DockerClient:
    """The platform's own Docker engine."""
    return docker.DockerClient(base_url=f"unix://{DOCKER_SOCKET}", timeout=600)


def import_node_images() -> None:
    """Give containerd what it needs before any registry is there: the pause image and CoreDNS."""
    _import_scratch(PAUSE_IMAGE, (BIN / "pause").resolve(), ["/pause"])
    _import_scratch(COREDNS_IMAGE, (BIN / "coredns").resolve(), ["/coredns"])


def ensure_base() -> str:
    """The Debian base image of all builds, in the Docker engine; returns its name.

    Made by debootstrap (45 s), kept as a tarball in the cache. It carries the machine's CA bundle and pip settings: a
    base for local builds, never to be published.
    """
    key = hashlib.sha256(repr((versions.DEBIAN_RELEASE, BASE_PACKAGES, _changes())).encode())
    bundle = Path(_CA_IN_IMAGE)
    key.update(bundle.read_bytes())
    name = f"thinkube.local/debian-base:{versions.DEBIAN_RELEASE}-{key.hexdigest()[:12]}"
    engine = client()
    if _has_image(engine, name):
        return name
    tarball = CACHE / "base" / f"{name.rpartition(':')[2]}.tar"
    if not tarball.exists():
        _debootstrap(tarball, bundle)
    repository, _, tag = name.rpartition(":")
    with tarball.open("rb") as source:
        engine.api.import_image_from_data(source, repository=repository, tag=tag, changes=_changes())
    return name


def build(folder: Path, name: str, base: str, *, push: tuple[str, str] | None = None) -> str:
    """Build ``folder`` on ``base`` under ``library/<name>`` of the registry; returns the tagged reference.

    The tag is a digest of the folder and the base, so an image that is there is not built again. ``push`` is
    (user name, password); without it the image stays in the engine. Raises PlatformError with the build's last lines.
    """
    digest = hashlib.sha256(base.encode())
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    repository, tag = f"{REGISTRY}/library/{name}", digest.hexdigest()[:12]
    engine = client()
    if not _has_image(engine, f"{repository}:{tag}"):
        _docker_build(folder, f"{repository}:{tag}", base)
    if push:
        username, password = push
        for line in engine.api.push(
            repository,
            tag,
            stream=True,
            decode=True,
            auth_config={"username": username, "password": password},
        ):
            if "error" in line:
                raise PlatformError(f"The registry refused {repository}:{tag}: {line['error']}.")
    return f"{repository}:{tag}"


def import_into_node(reference: str) -> None:
    """Copy an image of the Docker engine into containerd, for pods that start before a registry login exists."""
    if _node_has(reference):
        return
    run(
        ["sh", "-c", 'docker -H "$1" save "$2" | "$3" "$4" "$5" images import -',
         "sh", f"unix://{DOCKER_SOCKET}", reference, *CTR],
        log="images", what=f"copy {reference} to the node",
    )  # fmt: skip


def _docker_build(folder: Path, reference: str, base: str) -> None:
    run(
        [docker_cli(), "-H", f"unix://{DOCKER_SOCKET}", "build", "--network=host", "--build-arg", f"BASE={base}",
         "--label", "thinkube.local/platform=true", "-t", reference, folder],
        log=f"image-{folder.name}",
        what=f"build the image {folder.relative_to(REPO)}",
        remedy="Check that the package registries are reachable, then run the command again.",
        # BuildKit talks to the engine directly only in Debian's client; a newer one wants a plugin
        env={"DOCKER_BUILDKIT": "1", "DOCKER_CONFIG": str(LOGS / "no-docker-config")},
        timeout=3600,
    )  # fmt: skip


def docker_cli() -> str:
    """A docker client that can build with BuildKit without a plugin: Debian's, where it is."""
    debian = Path("/usr/bin/docker")
    return str(debian) if debian.exists() else shutil.which("docker") or "docker"


def _has_image(engine: docker.DockerClient, name: str) -> bool:
    try:
        engine.images.get(name)
    except ImageNotFound:
        return False
    return True


def _node_has(reference: str) -> bool:
    done = subprocess.run(
        [*CTR, "images", "list", "-q", f"name=={reference}"], capture_output=True, text=True, check=True
    )
    return bool(done.stdout.strip())


def _changes() -> list[str]:
    env = {name: os.environ[name] for name in _BUILD_ENV if name in os.environ}
    env |= dict.fromkeys(
        ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"), _CA_IN_IMAGE
    )
    return [f"ENV {name}={value}" for name, value in sorted(env.items())]


def _debootstrap(tarball: Path, bundle: Path) -> None:
    tarball.parent.mkdir(parents=True, exist_ok=True)
    root = tarball.with_suffix(".root")
    shutil.rmtree(root, ignore_errors=True)
    try:
        run(
            [
                "debootstrap",
                "--variant=minbase",
                f"--include={','.join(BASE_PACKAGES)}",
                versions.DEBIAN_RELEASE,
                root,
            ],
            log="debootstrap",
            what="make the Debian base image",
            remedy="Check that a Debian mirror is reachable, then run the command again.",
        )
        shutil.copyfile(bundle, root / _CA_IN_IMAGE.lstrip("/"))
        for leftover in ("var/cache/apt/archives", "var/lib/apt/lists"):
            shutil.rmtree(root / leftover, ignore_errors=True)
            (root / leftover).mkdir(parents=True)
        fresh = tarball.with_suffix(".new")
        run(["tar", "-C", root, "--exclude=./dev/*", "--exclude=./proc/*", "-cf", fresh, "."],
            log="debootstrap", what="pack the Debian base image")  # fmt: skip
        fresh.rename(tarball)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _import_scratch(reference: str, binary: Path, command: list[str]) -> None:
    """Make a one-file image in the docker-save layout and import it into containerd."""
    if _node_has(reference):
        return
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        info = tarfile.TarInfo(Path(command[0]).name)
        info.mode, info.size = 0o755, binary.stat().st_size
        with binary.open("rb") as source:
            archive.addfile(info, source)
    config = {
        "architecture": os.uname().machine.replace("x86_64", "amd64").replace("aarch64", "arm64"),
        "os": "linux",
        "config": {"Entrypoint": command, "User": "65534:65534"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]
    image = io.BytesIO()
    with tarfile.open(fileobj=image, mode="w") as archive:
        for name, data in (
            ("layer.tar", layer.getvalue()),
            ("config.json", json.dumps(config).encode()),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    run([*CTR, "images", "import", "-"], log="images", what=f"import {reference}", stdin=image.getvalue())
