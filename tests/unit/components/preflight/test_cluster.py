"""What is looked for in the cluster, by which settings, and the sentence for each thing that is not there."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import yaml

from components.preflight.cluster import cluster_check, control_check, in_cluster
from components.preflight.kubeconfig import Choice
from components.preflight.web import Deadline
from components.settings.models import Settings
from tests.unit.components.conftest import MINIMAL
from tests.unit.components.preflight.conftest import Asked, Serve

CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
DRIVER = "/apis/storage.k8s.io/v1/csidrivers/seaweedfs-csi-driver"
SERVICE = "/api/v1/namespaces/thinkube-control/services/backend"
SLICES = (
    "/apis/discovery.k8s.io/v1/namespaces/thinkube-control/endpointslices"
    "?labelSelector=kubernetes.io%2Fservice-name%3Dbackend"
)
IS_DEFAULT = {"storageclass.kubernetes.io/is-default-class": "true"}
WHOLE: dict[str, Any] = {
    CLASSES: {"items": [{"metadata": {"name": "old"}}, {"metadata": {"name": "local", "annotations": IS_DEFAULT}}]},
    f"{CLASSES}/local": {},
    f"{CLASSES}/shared": {},
    DRIVER: {},
    "/apis/networking.k8s.io/v1/ingressclasses/nginx": {},
    SERVICE: {"spec": {"ports": [{"port": 8000, "targetPort": "http"}]}},
    SLICES: {"items": [{"endpoints": [{"conditions": {"ready": False}}]}, {"endpoints": [{"conditions": {}}]}]},
}  # fmt: skip


class Setup:
    """An API server with these objects; `say(config)` runs the check and gives its sentences."""

    def __init__(self, serve: Serve, deadline: Deadline) -> None:
        self.objects = copy.deepcopy(WHOLE)
        self.denied: set[str] = set()
        self._deadline = deadline
        self.server = serve(self._answer, tls=False)

    def _answer(self, asked: Asked) -> tuple[int, dict[str, str], bytes]:
        if asked.path in self.denied:
            return 403, {}, b"{}"
        found = self.objects.get(asked.path)
        return (404, {}, b"{}") if found is None else (200, {}, json.dumps(found).encode())

    def say(self, **config: Any) -> list[str]:
        values = {**{key: value for key, value in MINIMAL.items() if key != "hub"}, **config}
        values["hub"] = {"tls": {"clusterIssuer": "x"}, **config.get("hub", {})}
        kubeconfig = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c"}}],
            "clusters": [{"name": "c", "cluster": {"server": self.server.url}}],
        }
        check = cluster_check(Settings.model_validate(values), Choice(yaml.safe_dump(kubeconfig)))
        return [str(fault) for fault in check.look(self._deadline)]


@pytest.fixture
def setup(serve: Serve, soon: Deadline) -> Setup:
    return Setup(serve, soon)


def test_all_is_there(setup: Setup) -> None:
    assert setup.say() == []
    assert setup.say(hub={"ingressClass": "nginx"}) == []
    assert setup.say(storage={"backend": "storageClass", "storageClass": "shared"}) == []
    assert setup.say(storage={"hubDatabase": {"storageClass": "local"}}) == []


def test_a_namespace_that_is_not_to_be_made(setup: Setup) -> None:
    (sentence,) = setup.say(create_namespace=False)
    assert "no namespace jupyterhub" in sentence
    assert "create_namespace" in sentence
    setup.objects["/api/v1/namespaces/jupyterhub"] = {}
    assert setup.say(create_namespace=False) == []


def test_no_csi_driver(setup: Setup) -> None:
    del setup.objects[DRIVER]
    assert setup.say() == [
        "Storage: the cluster has no SeaweedFS CSI driver seaweedfs-csi-driver (tried CSIDriver "
        "seaweedfs-csi-driver); install the driver, or choose another by the config key storage.backend"
    ]
    assert setup.say(storage={"backend": "hostPath", "hostPathRoot": "/srv"}) == []


def test_no_storage_class(setup: Setup) -> None:
    assert setup.say(storage={"backend": "storageClass", "storageClass": "gone"}) == [
        "Storage: the cluster has no StorageClass gone (tried StorageClass gone); make it, or correct the config key "
        "storage.storageClass"
    ]
    assert setup.say(storage={"hubDatabase": {"storageClass": "gone"}}) == [
        "Storage: the cluster has no StorageClass gone (tried StorageClass gone); make it, or correct the config key "
        "storage.hubDatabase.storageClass"
    ]


def test_a_claim_that_is_taken_over(setup: Setup) -> None:
    storage = {"volumes": {"models": {"existingClaim": "team-models"}}}
    assert setup.say(storage=storage) == [
        "Storage: namespace jupyterhub has no claim team-models (tried PersistentVolumeClaim team-models); correct the "
        "config key storage.volumes.models.existingClaim"
    ]
    setup.objects["/api/v1/namespaces/jupyterhub/persistentvolumeclaims/team-models"] = {}
    assert setup.say(storage=storage) == []


def test_where_all_claims_are_there_no_driver_is_needed(setup: Setup) -> None:
    del setup.objects[DRIVER]
    claims = {name: {"existingClaim": name} for name in ("notebooks", "datasets", "models", "examples")}
    for name in claims:
        setup.objects[f"/api/v1/namespaces/jupyterhub/persistentvolumeclaims/{name}"] = {}
    assert setup.say(storage={"volumes": claims}) == []


def test_no_default_class_matters_until_the_database_has_its_claim(setup: Setup) -> None:
    setup.objects[CLASSES]["items"].pop()
    (sentence,) = setup.say()
    assert "no default StorageClass, which the hub's database needs" in sentence
    assert "config key storage.hubDatabase.storageClass" in sentence
    setup.objects["/api/v1/namespaces/jupyterhub/persistentvolumeclaims/hub-db-dir"] = {}
    assert setup.say() == []


def test_no_ingress_class(setup: Setup) -> None:
    (sentence,) = setup.say(hub={"ingressClass": "traefik"})
    assert "no IngressClass traefik" in sentence
    assert "config key hub.ingressClass" in sentence


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({SERVICE: None}, "no Service backend in namespace thinkube-control"),
        ({SERVICE: {"spec": {"ports": [{"port": 80}]}}}, "its Service has no port 8000, but 80"),
        ({SLICES: {"items": []}}, "its Service has no ready endpoint"),
        (
            {SLICES: {"items": [{"endpoints": [{"conditions": {"ready": False}}]}, {"endpoints": None}]}},
            "its Service has no ready endpoint",
        ),
    ],
)
def test_thinkube_control_is_away(setup: Setup, change: dict[str, Any], expected: str) -> None:
    setup.objects |= change
    (sentence,) = setup.say()
    assert sentence.startswith(
        f"thinkube-control: {'the cluster has ' if 'no Service' in expected else ''}{expected}"
    )
    assert "config key control.url" in sentence


def test_rights_that_lack_are_named_and_the_rest_is_looked_at(setup: Setup) -> None:
    setup.denied = {DRIVER, SLICES}
    del setup.objects[CLASSES]
    sentences = setup.say()
    assert [sentence.partition(":")[0] for sentence in sentences] == [
        "Storage",
        "Storage",
        "thinkube-control",
    ]
    assert "lacking: get csidrivers.storage.k8s.io)" in sentences[0]
    assert "lacking: list endpointslices.discovery.k8s.io in namespace thinkube-control)" in sentences[2]


def test_an_api_that_is_away_is_said_once(setup: Setup, closed_port: int, soon: Deadline) -> None:
    setup.server.url = f"http://localhost:{closed_port}"
    (sentence,) = setup.say()
    assert sentence.startswith("Kubernetes API: the connection is refused")
    assert f"(tried GET http://localhost:{closed_port});" in sentence


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://backend.thinkube-control.svc.cluster.local:8000/api/v1", ("backend", "thinkube-control")),
        ("http://backend.tc.svc.corp.example.org", ("backend", "tc")),
        ("http://backend.tc.svc", ("backend", "tc")),
        ("http://backend.tc", ("backend", "tc")),
        ("http://backend:8000/api/v1", ("backend", "hub-namespace")),
        ("https://control.example.org/api/v1", None),
        ("http://10.1.2.3:8000", None),
    ],
)
def test_cluster_internal_addresses(url: str, expected: tuple[str, str] | None) -> None:
    assert in_cluster(url, "hub-namespace") == expected


class TestControlOutside:
    """Elsewhere than in the cluster it is asked itself; a login page in front of it is not our business."""

    @pytest.mark.parametrize("status", [200, 302, 401, 403])
    def test_it_is_there(self, serve: Serve, soon: Deadline, status: int) -> None:
        server = serve(lambda asked: (status, {}, b""), tls=False)
        assert control_check(f"{server.url}/api/v1").look(soon) == []
        assert server.asked[0].path == "/api/v1/images/jupyter"

    @pytest.mark.parametrize("status", [404, 502])
    def test_it_is_not(self, serve: Serve, soon: Deadline, status: int) -> None:
        server = serve(lambda asked: (status, {}, b""), tls=False)
        (fault,) = control_check(f"{server.url}/api/v1").look(soon)
        assert f"HTTP {status} from here (the hub asks it from inside the cluster)" in str(fault)

    def test_it_is_stopped(self, soon: Deadline, closed_port: int) -> None:
        (fault,) = control_check(f"http://localhost:{closed_port}").look(soon)
        assert str(fault).startswith("thinkube-control: the connection is refused")
        assert "config key control.url" in str(fault)
