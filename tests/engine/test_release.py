"""helm.sh/v3:Release on the stand-in provider, with a real Helm and a small chart."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from local.engine import EngineError, Stack
from local.providers.kubernetes.cluster import ApiError, Cluster
from tests.engine import apiserver
from tests.engine.conftest import SECRET, Program, state_of

pytestmark = pytest.mark.engine

TEMPLATE = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-cm, namespace: {{ .Release.Namespace }}}
data: {word: {{ .Values.word | quote }}, token: {{ .Values.token | quote }}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Values.extra }}, namespace: {{ .Release.Namespace }}}
"""


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    folder = tmp_path / "chart"
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("{apiVersion: v2, name: small, version: 0.1.0, appVersion: '7'}")
    (folder / "values.yaml").write_text("{word: default, token: '', extra: extra}")
    (folder / "templates/all.yaml").write_text(TEMPLATE)
    return folder


def source(chart: Path, namespace: str, *, word: str = "one", extra: str = "extra") -> str:
    return f"""
import pulumi
import pulumi_kubernetes as k8s
r = k8s.helm.v3.Release("r", name="small", namespace="{namespace}", chart="{chart}",
    values={{"word": "{word}", "token": pulumi.Output.secret("{SECRET}"), "extra": "{extra}"}})
pulumi.export("status", r.status)
pulumi.export("names", r.resource_names)
"""


def helm(kubeconfig: Path, *arguments: str) -> str:
    env = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    done = subprocess.run(
        [str(apiserver.binaries() / "helm"), *arguments], env=env, check=True, capture_output=True, text=True
    )
    return done.stdout


def word(cluster: Cluster, namespace: str) -> str:
    found = cluster.request("GET", f"/api/v1/namespaces/{namespace}/configmaps/small-cm")
    return str(found["data"]["word"])


def test_release_from_install_to_uninstall(
    program: Program, chart: Path, cluster: Cluster, namespace: str, kubeconfig: Path
) -> None:
    """Install, quiet second run, upgrade, changes by hand found and undone, a new chart version, gone after destroy."""
    stack = program(source(chart, namespace))
    assert stack.preview().changes == {"create": 2}
    assert json.loads(helm(kubeconfig, "list", "-n", namespace, "-o", "json")) == []
    stack.up()
    status = stack.outputs()["status"]
    assert (status["status"], status["revision"], status["version"], status["appVersion"]) == (
        "deployed",
        1,
        "0.1.0",
        "7",
    )
    assert stack.outputs()["names"] == {"ConfigMap/v1": [f"{namespace}/extra", f"{namespace}/small-cm"]}
    assert stack.up().changes == {}
    assert stack.refresh().changes == {}
    assert stack.up().changes == {}
    assert SECRET not in json.dumps(stack.export())

    stack = program(source(chart, namespace, word="two"))
    assert stack.preview().changes == {"update": 1}
    assert word(cluster, namespace) == "one"
    assert stack.up().changes == {"update": 1}
    assert word(cluster, namespace) == "two"

    helm(kubeconfig, "upgrade", "small", str(chart), "-n", namespace, "--reuse-values", "--set", "word=hand")
    assert stack.refresh().changes == {"update": 1}
    assert stack.up().changes == {"update": 1}
    assert word(cluster, namespace) == "two"

    (chart / "Chart.yaml").write_text("{apiVersion: v2, name: small, version: 0.2.0}")
    assert stack.up().changes == {"update": 1}
    assert stack.outputs()["status"]["version"] == "0.2.0"

    helm(kubeconfig, "uninstall", "small", "-n", namespace)
    assert stack.refresh().changes == {"delete": 1}
    stack.up()
    stack.destroy()
    with pytest.raises(ApiError, match="not found"):
        word(cluster, namespace)


def test_an_object_changed_inside_a_release_is_put_right_by_the_next_upgrade_only(
    program: Program, chart: Path, cluster: Cluster, namespace: str
) -> None:
    """A release's state is what Helm recorded: its objects are not looked at."""
    stack = program(source(chart, namespace))
    stack.up()
    path = f"/api/v1/namespaces/{namespace}/configmaps/small-cm"
    cluster.request("PATCH", path, body={"data": {"word": "hand"}}, kind="merge-patch+json")
    assert stack.refresh().changes == {}
    assert stack.up().changes == {}
    assert word(cluster, namespace) == "hand"
    program(source(chart, namespace, extra="other")).up()
    assert word(cluster, namespace) == "one"


def test_failed_upgrade_says_why_and_the_next_one_works(
    program: Program, chart: Path, cluster: Cluster, namespace: str
) -> None:
    program(source(chart, namespace)).up()
    stack = program(source(chart, namespace, word="two", extra="Not_A_Name"))
    with pytest.raises(EngineError, match="Not_A_Name") as failure:
        stack.up()
    assert SECRET not in str(failure.value)
    assert SECRET not in json.dumps(stack.export())
    assert state_of(stack, "r")["initErrors"]
    stack.refresh()
    stack = program(source(chart, namespace, word="two"))
    stack.up()
    assert stack.outputs()["status"]["status"] == "deployed"
    assert word(cluster, namespace) == "two"
    assert stack.up().changes == {}


def test_failed_install_is_kept_and_repaired(program: Program, chart: Path, namespace: str) -> None:
    with pytest.raises(EngineError, match="Not_A_Name"):
        program(source(chart, namespace, extra="Not_A_Name")).up()
    stack: Stack = program(source(chart, namespace))
    stack.up()
    assert stack.outputs()["status"]["status"] == "deployed"


def test_one_value_that_goes_is_gone_all_that_go_stay(
    program: Program, chart: Path, cluster: Cluster, namespace: str
) -> None:
    """Helm's rule: an upgrade without any value keeps the last release's."""
    program(source(chart, namespace)).up()
    bare = f"""
    import pulumi_kubernetes as k8s
    k8s.helm.v3.Release("r", name="small", namespace="{namespace}", chart="{chart}")
    """
    one = bare.replace(f'chart="{chart}"', f'chart="{chart}", values={{"token": "x"}}')
    assert program(one).up().changes == {"update": 1}
    assert word(cluster, namespace) == "default"
    program(source(chart, namespace)).up()
    stack = program(bare)
    assert stack.up().changes == {"update": 1}
    assert word(cluster, namespace) == "one"
    assert stack.up().changes == {}
    assert stack.refresh().changes == {}
    assert stack.up().changes == {}


def test_existing_release_is_not_taken(
    program: Program, chart: Path, namespace: str, kubeconfig: Path
) -> None:
    helm(kubeconfig, "install", "small", str(chart), "-n", namespace)
    with pytest.raises(EngineError, match="cannot re-use a name that is still in use"):
        program(source(chart, namespace)).up()


def test_missing_chart_fails_in_preview(program: Program, namespace: str, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="check the chart name and repository configuration"):
        program(source(tmp_path / "nowhere", namespace)).preview()
