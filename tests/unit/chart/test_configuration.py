"""jupyterhub_config.py and z2jh.py of the chart: order, fixed settings, refusals, and the pod that results."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kubespawner.spawner
import pytest
from kubernetes_asyncio.client import ApiClient

Configure = Callable[..., Any]


def test_hub_finds_proxy_and_database(configure: Configure) -> None:
    c = configure()
    assert c.ConfigurableHTTPProxy.api_url == "http://proxy-api:8001"
    assert c.ConfigurableHTTPProxy.should_start is False
    assert c.JupyterHub.hub_connect_url == "http://hub:80"
    assert c.JupyterHub.hub_bind_url == "http://:8081"
    assert c.JupyterHub.db_url == "sqlite:///jupyterhub.sqlite"
    assert c.JupyterHub.cleanup_servers is False
    assert c.JupyterHub.cookie_secret == "ab" * 32
    assert c["CryptKeeper"]["keys"] == ["cd" * 32]  # keys() is a method of every Config


def test_later_wins_values_then_config_then_files_then_extra_config(configure: Configure) -> None:
    seen = "order = [c.KubeSpawner.start_timeout]; c.KubeSpawner.start_timeout = 3"
    values = {
        "singleuser": {"startTimeout": 1},
        "hub": {
            "config": {"KubeSpawner": {"start_timeout": 2}},
            "extraConfig": {
                "b": "order.append('b'); c.JupyterHub.order = order",
                "a": "order += [c.KubeSpawner.start_timeout, 'a']; c.KubeSpawner.start_timeout = 4",
            },
        },
    }
    c = configure(values, before=seen)
    assert c.JupyterHub.order == [2, 3, "a", "b"]
    assert c.KubeSpawner.start_timeout == 4


def test_mounted_code_imports_z2jh_and_its_neighbours(configure: Configure) -> None:
    code = "import z2jh; c.JupyterHub.seen = z2jh.get_config('custom.a')"
    assert configure({"custom": {"a": 5}}, before=code).JupyterHub.seen == 5


def test_lower_case_section_ends_the_hub(configure: Configure) -> None:
    with pytest.raises(SystemExit, match=r"hub\.config\.loadRoles is no section.*hub\.loadRoles"):
        configure({"hub": {"config": {"loadRoles": {"a": {}}}}})


def test_culler_may_do_no_more_than_it_has_to(configure: Configure) -> None:
    (role,) = configure({"cull": {"users": False}}).JupyterHub.load_roles
    assert role["scopes"] == ["list:users", "read:users:activity", "read:servers", "delete:servers"]
    assert role["services"] == ["jupyterhub-idle-culler"]


@pytest.mark.parametrize(
    ("purpose", "preferred", "required"), [("prefer", 1, 0), ("require", 0, 1), ("ignore", 0, 0)]
)
def test_node_purpose(configure: Configure, purpose: str, preferred: int, required: int) -> None:
    spawner = configure(
        {"scheduling": {"userPods": {"nodeAffinity": {"matchNodePurpose": purpose}}}}
    ).KubeSpawner
    assert len(spawner.node_affinity_preferred.get_value([])) == preferred
    assert len(spawner.node_affinity_required.get_value([])) == required


def test_z2jh_reads_paths_nulls_and_defaults(configure: Configure) -> None:
    configure({"custom": {"a": {"b": None, "list": [1]}}})
    import z2jh

    assert z2jh.get_config("custom.a") == {"b": None, "list": [1]}
    assert z2jh.get_config("custom.a.b", "default") is None
    assert z2jh.get_config("custom.a.missing", "default") == "default"
    assert z2jh.get_config("custom.a.b.deeper", "default") == "default"
    assert z2jh.get_config("custom.a.list.0", "default") == "default"
    assert z2jh.get_config("Release.Name") == "jupyterhub"
    section = SimpleNamespace()
    z2jh.set_config_if_not_none(section, "set", "custom.a.list")
    z2jh.set_config_if_not_none(section, "unset", "custom.a.b")
    assert vars(section) == {"set": [1]}


def test_z2jh_names_what_is_missing(configure: Configure) -> None:
    configure()
    import z2jh

    assert z2jh.get_name("proxy-api") == "proxy-api"
    assert z2jh.get_name_env("proxy-api", "_SERVICE_PORT") == "8001"
    assert z2jh.get_secret_value("nothing", None) is None
    with pytest.raises(LookupError, match="nothing is not in Secret"):
        z2jh.get_secret_value("nothing")
    with pytest.raises(LookupError, match="autohttps"):
        z2jh.get_name("autohttps")


def test_values_that_are_no_mapping_are_refused(hub_folder: Callable[..., Path]) -> None:
    hub_folder({"values.yaml": "- a\n"}, {})
    import z2jh

    with pytest.raises(TypeError, match=r"values\.yaml holds no mapping"):
        z2jh.get_config("a")


def test_a_pod_comes_out_as_the_values_say(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way: values, configuration, KubeSpawner, pod."""
    c = configure(
        {
            "imagePullSecrets": [{"name": "harbor-pull"}],
            "singleuser": {
                "image": {"name": "reg/nb", "tag": "1"},
                "cpu": {"limit": 2, "guarantee": 0.5},
                "extraPodConfig": {"enableServiceLinks": False},
                "storage": {
                    "extraVolumes": [
                        {"name": "n", "persistentVolumeClaim": {"claimName": "jupyter-notebooks-pvc"}}
                    ],
                    "extraVolumeMounts": [
                        {"name": "n", "mountPath": "/home/jovyan/n", "subPath": "{username}"}
                    ],
                },
            },
        }
    )

    async def manifest() -> dict[str, Any]:
        monkeypatch.setattr(kubespawner.spawner, "load_config", lambda *_, **__: None)
        spawner = kubespawner.KubeSpawner(_mock=True, config=c)
        spawner.user.name = "zoe"
        async with ApiClient() as client:  # only to write it as the API server gets it
            return dict(client.sanitize_for_serialization(await spawner.get_pod_manifest()))

    pod = asyncio.run(manifest())
    (container,) = pod["spec"]["containers"]
    assert container["image"] == "reg/nb:1"
    assert container["resources"]["limits"]["cpu"] == 2
    assert container["securityContext"]["runAsUser"] == 1000
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["volumeMounts"][0]["subPath"] == "zoe"
    assert pod["spec"]["securityContext"]["fsGroup"] == 100
    assert pod["spec"]["imagePullSecrets"] == [{"name": "harbor-pull"}]
    assert pod["spec"]["enableServiceLinks"] is False
    labels = pod["metadata"]["labels"]
    # what the network policies of the chart select user pods by
    expected = {"component": "singleuser-server", "app": "jupyterhub", "release": "jupyterhub"}
    assert expected.items() <= labels.items()
    assert labels["helm.sh/chart"] == "jupyterhub-4.4.0_a"
