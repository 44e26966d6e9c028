"""Certificates, credentials, the merged configuration and the provisioner's volumes."""

from __future__ import annotations

import stat
from pathlib import Path
from types import SimpleNamespace

from cryptography import x509

from local import credentials, pki
from local.provisioner import volume_for
from local.seaweed import VOLUMES
from local.stack import base_config, merged


def test_a_leaf_is_signed_by_its_authority_for_its_hosts(tmp_path: Path) -> None:
    authority = pki.Authority(tmp_path, "ca")
    authority.ensure()
    cert_file, key_file = authority.issue(
        "hub", common_name="hub", hosts=["jupyter.thinkube.test", "10.251.0.1"]
    )

    cert = x509.load_pem_x509_certificate(cert_file.read_bytes())
    cert.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.cert_file.read_bytes()))
    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["jupyter.thinkube.test"]
    for private in (key_file, authority.key_file):
        assert stat.S_IMODE(private.stat().st_mode) == 0o600


def test_a_leaf_is_made_once_and_anew_for_other_hosts(tmp_path: Path) -> None:
    authority = pki.Authority(tmp_path, "ca")
    authority.ensure()
    first = authority.issue("hub", common_name="hub", hosts=["a.test"])[0].read_bytes()

    assert authority.issue("hub", common_name="hub", hosts=["a.test"])[0].read_bytes() == first
    assert authority.issue("hub", common_name="hub", hosts=["b.test"])[0].read_bytes() != first


def test_credentials_are_generated_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "data" / "credentials.json"
    first = credentials.load(path)

    assert credentials.load(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len({first.keycloak_admin, first.harbor_robot, *first.users.values()}) == 4


def test_configuration_trees_merge_at_the_leaves() -> None:
    base = {"hub": {"chart": {"version": "1"}, "ingressClass": "x"}, "sizes": [1, 2]}
    over = {"hub": {"chart": {"version": "2"}}, "sizes": [3]}

    assert merged(base, over) == {"hub": {"chart": {"version": "2"}, "ingressClass": "x"}, "sizes": [3]}
    assert base["hub"] == {"chart": {"version": "1"}, "ingressClass": "x"}


def test_the_checked_in_stack_file_has_no_secret() -> None:
    assert not {"harbor_robot_token", "keycloak_admin_password", "tls_private_key"} & set(base_config())


def test_a_volume_is_bound_to_exactly_its_claim(tmp_path: Path) -> None:
    claim = SimpleNamespace(
        metadata=SimpleNamespace(name="hub-db-dir", namespace="jupyterhub", uid="u-1"),
        spec=SimpleNamespace(
            access_modes=["ReadWriteOnce"], resources=SimpleNamespace(requests={"storage": "1Gi"})
        ),
    )
    spec = volume_for(claim, tmp_path)["spec"]

    assert spec["claimRef"]["uid"] == "u-1"
    assert spec["hostPath"]["path"] == str(tmp_path / "pvc-u-1")
    assert spec["capacity"] == {"storage": "1Gi"}


def test_every_volume_of_the_local_stack_has_a_folder() -> None:
    assert set(base_config()["storage"]["volumes"]) == set(VOLUMES)
