"""Small promises of single components: volumes, pull Secret, hub code, chart source, sync script."""

from __future__ import annotations

import base64
import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.control_sync import SCRIPT
from components.hub import chart_source
from components.profiles import SHIM, read_code
from components.settings.models import Chart, Storage
from components.storage import volume_source
from components.workspace import docker_config
from tests.unit.components.conftest import Program

CLAIM = "kubernetes:core/v1:PersistentVolumeClaim"
VOLUME = "kubernetes:core/v1:PersistentVolume"


class TestVolumes:
    """A volume keeps its files whatever becomes of its claim."""

    def test_static_pair_is_bound_by_uid(self, program: Program) -> None:
        made = program({"storage": {"backend": "hostPath", "hostPathRoot": "/srv/seaweed"}})
        claim = made.inputs(CLAIM, "volumes-notebooks-claim")
        volume = made.inputs(VOLUME, "volumes-notebooks")
        assert claim["spec"]["storageClassName"] == volume["spec"]["storageClassName"] == ""
        assert claim["spec"]["selector"]["matchLabels"].items() <= volume["metadata"]["labels"].items()
        assert volume["spec"]["claimRef"]["uid"] == "uid-of-volumes-notebooks-claim"
        assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
        assert volume["metadata"]["name"] == "jupyter-unit-notebooks"
        assert claim["metadata"]["annotations"] == {"pulumi.com/skipAwait": "true"}

    def test_storage_class_makes_its_own(self, program: Program) -> None:
        made = program({"storage": {"backend": "storageClass", "storageClass": "shared"}})
        assert VOLUME not in made.types()
        claim = made.inputs(CLAIM, "volumes-datasets-claim")
        assert claim["spec"]["storageClassName"] == "shared"
        assert "selector" not in claim["spec"]

    def test_names_and_sizes(self, program: Program) -> None:
        made = program({"storage": {"volumes": {"models": {"size": "1Ti"}}}})
        found = {
            item["metadata"]["name"]: item["spec"]["resources"]["requests"]["storage"]
            for item in (made.inputs(CLAIM, name) for name in made.types()[CLAIM])
        }
        assert found == {
            "jupyter-notebooks-pvc": "100Gi",
            "jupyter-datasets-pvc": "500Gi",
            "jupyter-models-pvc": "1Ti",
            "jupyterhub-examples-pvc": "10Gi",
        }

    def test_existing_claim_is_used_and_not_made(self, program: Program) -> None:
        made = program({"storage": {"volumes": {"datasets": {"existingClaim": "team-data"}}}})
        assert "volumes-datasets" not in made.types()[VOLUME]
        assert "volumes-datasets-claim" not in made.types()[CLAIM]
        looked_up = next(item for item in made.resources if item.name == "volumes-datasets-existing")
        assert looked_up.resource_id == "jupyterhub/team-data"
        assert made.outputs["claims"]["datasets"] == "team-data"
        release = made.inputs("kubernetes:helm.sh/v3:Release")["values"]["singleuser"]["storage"]
        assert {"name": "datasets", "persistentVolumeClaim": {"claimName": "team-data"}} in release[
            "extraVolumes"
        ]

    def test_driver_attributes(self) -> None:
        storage = Storage.model_validate({"replication": "001"})
        source = volume_source(storage, "dev", "notebooks")["csi"]
        assert source["driver"] == "seaweedfs-csi-driver"
        assert source["volumeAttributes"] == {
            "collection": "jupyter",
            "replication": "001",
            "path": "/jupyterhub/dev/notebooks",
            "uidMap": "1000:0",
            "gidMap": "100:0",
        }

    def test_missing_mount_is_an_error_of_the_pod(self) -> None:
        storage = Storage.model_validate({"backend": "hostPath", "hostPathRoot": "/mnt"})
        assert volume_source(storage, "dev", "notebooks") == {
            "hostPath": {"path": "/mnt/notebooks", "type": "Directory"}
        }


def test_pull_secret() -> None:
    text = base64.b64decode(docker_config("harbor.example.org", "robot$x", "pw")).decode()
    entry = json.loads(text)["auths"]["harbor.example.org"]
    assert base64.b64decode(entry["auth"]) == b"robot$x:pw"


class TestHubCode:
    """All of the package and the shim, nothing else, and complaints that say what to do."""

    def folder(self, tmp_path: Path) -> Path:
        package = tmp_path / "thinkube_profiles"
        (package / "__pycache__").mkdir(parents=True)
        (package / "__init__.py").write_text("")
        (package / "form.html").write_text("<form>")
        (tmp_path / SHIM).write_text("import thinkube_profiles\n")
        return tmp_path

    def test_files(self, tmp_path: Path) -> None:
        assert set(read_code(self.folder(tmp_path))) == {"__init__.py", "form.html", SHIM}

    def test_missing_shim(self, tmp_path: Path) -> None:
        (self.folder(tmp_path) / SHIM).unlink()
        with pytest.raises(pulumi.RunError, match="is missing"):
            read_code(tmp_path)

    def test_folders_are_refused(self, tmp_path: Path) -> None:
        (self.folder(tmp_path) / "thinkube_profiles" / "deep").mkdir()
        with pytest.raises(pulumi.RunError, match="must be flat"):
            read_code(tmp_path)

    def test_size(self, tmp_path: Path) -> None:
        (self.folder(tmp_path) / "thinkube_profiles" / "big.py").write_text("#" * 1_000_001)
        with pytest.raises(pulumi.RunError, match="a ConfigMap takes"):
            read_code(tmp_path)


class TestChart:
    """A path wins over the repository."""

    def test_path(self, tmp_path: Path) -> None:
        assert chart_source(Chart.model_validate({"path": str(tmp_path)})) == {"chart": str(tmp_path)}


class TestSyncScript:
    """The Job's script, run as the Job runs it, against a server on loopback."""

    def run(self, status: int) -> tuple[subprocess.CompletedProcess[str], list[Any]]:
        seen: list[Any] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                seen.append((self.path, self.headers["Authorization"]))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(b'{"message": "Sync completed successfully"}')

            def log_message(self, *args: object) -> None:
                pass

        with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            url = f"http://127.0.0.1:{server.server_port}/api/v1"
            done = subprocess.run(
                [sys.executable, "-c", SCRIPT],
                env={**os.environ, "CONTROL_URL": url, "CONTROL_TOKEN": "word-of-control"},
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
            server.shutdown()
        return done, seen

    def test_good(self) -> None:
        done, seen = self.run(200)
        assert done.returncode == 0
        assert "has read the image catalogue" in done.stdout
        assert seen == [("/api/v1/harbor/images/sync", "Bearer word-of-control")]

    def test_refused_token_is_not_tried_again(self) -> None:
        done, seen = self.run(401)
        assert done.returncode == 1
        assert "check thinkube_control_token" in done.stderr
        assert "word-of-control" not in done.stdout + done.stderr
        assert len(seen) == 1
