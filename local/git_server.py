"""The platform's git server: git's own HTTP backend behind lighttpd, behind Traefik's TLS, at https://git.<domain>.

Read-only for everybody; repositories below ``private/`` ask for a login (user ``git``, password: ``token()``). What is
in them is published from folders of this machine: ``examples/`` of the checkout is the default repository.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path

from local.daemons import Daemon
from local.files import write
from local.paths import DATA, DOMAIN, REPO, STATE
from local.shell import in_node, output

PORT = 3080  # on the node's loopback
URL = f"https://git.{DOMAIN}"
EXAMPLES = "thinkube/thinkube-ai-examples"  # as the default repository of the program is called
PRIVATE_USER = "git"
_ACCOUNT = "www-data"  # Debian makes it everywhere; it may read what is published and nothing else
_FOLDER = DATA / "git"
_REPOSITORIES, _TOKEN, _USERS = _FOLDER / "repositories", _FOLDER / "token", _FOLDER / "users"
_CONFIG = STATE / "lighttpd-git.conf"
_BACKEND = "/usr/lib/git-core/git-http-backend"
_LEFT_OUT = ".ipynb_checkpoints\n__pycache__\n"
_ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",  # nothing that the machine's user has set
    "GIT_CONFIG_NOSYSTEM": "1",
} | {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Thinkube"), ("EMAIL", f"git@{DOMAIN}"))
}


def daemon() -> Daemon:
    return Daemon("git-server", ["/usr/sbin/lighttpd", "-D", "-f", _CONFIG], healthy=_serves)


def prepare() -> None:
    """Write configuration and login, and publish ``examples/``."""
    _REPOSITORIES.mkdir(parents=True, exist_ok=True)
    write(_USERS, f"{PRIVATE_USER}:{token()}\n", 0o640)
    shutil.chown(_USERS, group=_ACCOUNT)
    write(_CONFIG, _configuration(), 0o644)
    publish(REPO / "examples", EXAMPLES)


def token() -> str:
    """The password for repositories below ``private/``."""
    if not _TOKEN.exists():
        write(_TOKEN, secrets.token_urlsafe(15))
    return _TOKEN.read_text()


def publish(folder: Path, name: str) -> str:
    """Make a folder's content the head of branch main of a repository, made where it is missing; the commit.

    Nothing happens where the content is the same.
    """
    bare = _REPOSITORIES / f"{name}.git"
    if not (bare / "HEAD").exists():
        output(["git", "init", "--quiet", "--bare", "--initial-branch=main", bare])
    write(bare / "info" / "exclude", _LEFT_OUT, 0o644)
    with tempfile.TemporaryDirectory() as index:
        env = {
            **_ENVIRONMENT,
            "GIT_INDEX_FILE": f"{index}/index",
            "GIT_DIR": str(bare),
            "GIT_WORK_TREE": str(folder),
        }
        output(["git", "-C", folder, "add", "--all", "."], env=env)
        tree = output(["git", "write-tree"], env=env).strip()
        known = subprocess.run(
            ["git", "rev-parse", "--verify", "--quiet", "main", "main^{tree}"],
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            check=False,
        ).stdout.split()
        if len(known) == 2 and known[1] == tree:
            return known[0]
        parent = ["-p", known[0]] if known else []
        commit = output(
            ["git", "commit-tree", tree, *parent, "-m", f"Content of {folder.name}"], env=env
        ).strip()
        output(["git", "update-ref", "refs/heads/main", commit], env=env)
    return commit


def remove(name: str) -> None:
    """Take a repository away."""
    shutil.rmtree(_REPOSITORIES / f"{name}.git", ignore_errors=True)


def _configuration() -> str:
    """https://git-scm.com/docs/git-http-backend, by lighttpd 1.4; mod_alias and mod_setenv are built in."""
    return f"""\
server.modules = ("mod_alias", "mod_setenv", "mod_auth", "mod_authn_file", "mod_cgi")
server.document-root = "{_REPOSITORIES}"
server.bind = "127.0.0.1"
server.port = {PORT}
server.username = "{_ACCOUNT}"
server.groupname = "{_ACCOUNT}"
server.upload-dirs = ("/tmp")
alias.url = ("/" => "{_BACKEND}/")
cgi.assign = ("{_BACKEND}" => "")
setenv.set-environment = (
  "GIT_PROJECT_ROOT" => "{_REPOSITORIES}",
  "GIT_HTTP_EXPORT_ALL" => "1",
  # the repositories are root's, who published them
  "GIT_CONFIG_COUNT" => "1", "GIT_CONFIG_KEY_0" => "safe.directory", "GIT_CONFIG_VALUE_0" => "*",
)
auth.backend = "plain"
auth.backend.plain.userfile = "{_USERS}"
$HTTP["url"] =~ "^/private/" {{
  auth.require = ("" => ("method" => "basic", "realm" => "git", "require" => "valid-user"))
}}
"""


def _serves() -> bool:
    """The default repository can be read."""
    url = f"http://127.0.0.1:{PORT}/{EXAMPLES}.git/info/refs?service=git-upload-pack"
    command = ["curl", "-sf", "--noproxy", "*", "-o", "/dev/null", "-m", "3", url]
    return subprocess.run(in_node(command), check=False).returncode == 0
