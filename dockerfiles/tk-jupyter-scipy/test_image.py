# ruff: noqa: S101, S108
"""Promises of the image, checked inside it: user, paths, imports, a kernel, the server's start.

Needs nothing but the image: `docker run --rm --interactive <image> python - < test_image.py`.
The packages are those of image.yaml (a unit test compares them); volumes and login are tested elsewhere.
"""

import http.server
import importlib.metadata
import os
import pathlib
import re
import shutil
import site
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

HOME = pathlib.Path("/home/jovyan")
# import names; the distribution scikit-learn is imported as sklearn
PACKAGES = [
    "numpy",
    "pandas",
    "polars",
    "scipy",
    "sklearn",
    "matplotlib",
    "seaborn",
    "plotly",
    "ipywidgets",
    "jupyterlab",
]


class User(unittest.TestCase):
    """The hub runs pods as 1000:100 and mounts volumes below ~/thinkube."""

    def test_runs_as_jovyan(self) -> None:
        assert (os.getuid(), os.getgid()) == (1000, 100)
        assert pathlib.Path(os.environ["HOME"]) == HOME
        assert pathlib.Path.cwd() == HOME

    def test_owns_home_and_mount_parent(self) -> None:
        for folder in (HOME, HOME / "thinkube", HOME / "thinkube" / "notebooks"):
            found = folder.stat()
            assert (found.st_uid, found.st_gid) == (1000, 100), folder
            assert os.access(folder, os.W_OK), folder

    def test_cannot_become_root(self) -> None:
        # Pod Security forbids escalation anyway; the image shall not depend on that
        done = subprocess.run(["sudo", "-n", "true"], capture_output=True) if shutil.which("sudo") else None
        assert done is None or done.returncode != 0


class Paths(unittest.TestCase):
    """One Python everywhere: the server's, the kernels', the terminals'."""

    def test_server_commands_are_on_path(self) -> None:
        for command in ("jupyterhub-singleuser", "jupyter-labhub", "jupyter-lab", "git", "tini"):
            assert shutil.which(command) is not None, command

    def test_login_shell_finds_the_same_python(self) -> None:
        # JupyterLab opens terminals as login shells, which read /etc/profile and lose the image's PATH
        for flags in ("-lc", "-ic"):
            done = subprocess.run(["bash", flags, "command -v python"], capture_output=True, text=True)
            assert done.stdout.strip() == shutil.which("python"), flags

    def test_user_installs_go_to_home(self) -> None:
        assert site.ENABLE_USER_SITE
        assert site.getusersitepackages().startswith(str(HOME / ".local"))
        assert not os.access(sys.prefix, os.W_OK), "the image's own packages are read-only to its user"
        path = os.environ["PATH"].split(":")
        assert path.index(f"{HOME}/.local/bin") < path.index(f"{sys.prefix}/bin")

    def test_text_is_utf8(self) -> None:
        assert sys.getfilesystemencoding() == "utf-8"
        assert os.environ["LANG"] == "C.UTF-8"


class Software(unittest.TestCase):
    """What image.yaml promises is there and works together."""

    def test_packages_import(self) -> None:
        for package in PACKAGES:
            with self.subTest(package):
                importlib.import_module(package)

    def test_frozen_set_is_whole(self) -> None:
        # as `pip check`, but only over the venv's own packages: what else a base has is its own matter
        from packaging.requirements import Requirement
        from packaging.utils import canonicalize_name

        found = importlib.metadata.distributions(path=[sysconfig.get_path("purelib")])
        installed = {canonicalize_name(d.metadata["Name"]): d for d in found}
        assert len(installed) > 50
        for name, dist in installed.items():
            for line in dist.requires or []:
                need = Requirement(line)
                if need.marker and not need.marker.evaluate({"extra": ""}):
                    continue
                with self.subTest(f"{name} needs {line}"):
                    have = installed[canonicalize_name(need.name)].version
                    assert need.specifier.contains(have, prereleases=True), have

    def test_jupyterlab_asks_nothing_at_each_start(self) -> None:
        # settings live in the home and die with the pod: an unanswered question would come back every day
        folder = subprocess.run(["jupyter", "lab", "path"], capture_output=True, text=True, check=True).stdout
        settings = re.search(r"Application directory:\s+(\S+)", folder)
        assert settings, folder
        text = (pathlib.Path(settings[1]) / "settings" / "overrides.json").read_text()
        assert '"fetchNews": "false"' in text

    def test_fit_and_plot(self) -> None:
        code = (
            "import numpy, pandas, seaborn; from sklearn.linear_model import LinearRegression;"
            "x = numpy.arange(10.0).reshape(-1, 1); fit = LinearRegression().fit(x, 3 * x.ravel() + 1);"
            "assert abs(fit.coef_[0] - 3) < 1e-9;"
            "seaborn.lineplot(pandas.DataFrame({'x': x.ravel()})).figure.savefig('/tmp/plot.png')"
        )
        subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "MPLBACKEND": "agg"})
        assert pathlib.Path("/tmp/plot.png").read_bytes()[:4] == b"\x89PNG"

    def test_kernel_runs_a_cell(self) -> None:
        kernels = importlib.import_module("jupyter_client.manager")
        manager, client = kernels.start_new_kernel(kernel_name="python3")
        try:
            printed: list[str] = []
            reply = client.execute_interactive(
                "import sys; print(sys.executable)",
                timeout=60,
                output_hook=lambda m: printed.append(m["content"].get("text", "")),
            )
            assert reply["content"]["status"] == "ok"
            assert "".join(printed).strip() == sys.executable
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of a hub as a server asks for at its start: the version."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"version": "5.3.0"}')

    def log_message(self, *_: object) -> None:
        pass


class Server(unittest.TestCase):
    """The command that the hub gives starts, and serves JupyterLab."""

    def test_singleuser_version(self) -> None:
        done = subprocess.run(
            ["jupyterhub-singleuser", "--version"], capture_output=True, text=True, timeout=120
        )
        assert (done.returncode, done.stdout.strip()) == (0, "5.3.0"), done.stderr

    def test_singleuser_starts_and_asks_for_a_login(self) -> None:
        hub = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        env = {
            **os.environ,
            "JUPYTERHUB_API_TOKEN": "none",
            "JUPYTERHUB_API_URL": f"http://127.0.0.1:{hub.server_port}/hub/api",
            "JUPYTERHUB_BASE_URL": "/",
            "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-someone",
            "JUPYTERHUB_SERVICE_PREFIX": "/user/someone/",
            "JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:18888/user/someone/",
            "JUPYTERHUB_USER": "someone",
        }
        with tempfile.TemporaryFile("w+") as log:
            server = subprocess.Popen(
                ["jupyterhub-singleuser"], env=env, stdout=log, stderr=subprocess.STDOUT
            )
            try:
                started = time.monotonic()
                status = self.status("http://127.0.0.1:18888/user/someone/lab")
                print(
                    f"server answered after {time.monotonic() - started:.1f} s ... ", end="", file=sys.stderr
                )
            finally:
                server.kill()
                server.wait()
                hub.shutdown()
                hub.server_close()
            log.seek(0)
            lines = log.read()
        assert status == 302, lines
        # a traceback or an error at a plain start is a fault of the frozen set
        assert not re.search(r"(?m)^(\[E|Traceback)", lines), lines

    @staticmethod
    def status(url: str) -> int | None:
        """HTTP status of url without following a redirect; waits up to 60 s for the port, then None."""

        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *_: object) -> None:
                return None

        opener = urllib.request.build_opener(Stay)
        for _ in range(240):
            try:
                return int(opener.open(url, timeout=10).status)
            except urllib.error.HTTPError as answer:
                return answer.code
            except OSError:
                time.sleep(0.25)
        return None


if __name__ == "__main__":
    unittest.main(verbosity=2)
