"""Stack files, good and bad, found by name; and where secrets may come from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from components.settings import Secrets, Settings, load_secrets, load_settings
from components.settings.reader import SECRET_KEYS
from tests.unit.components.conftest import MINIMAL, ROOT, SECRETS
from tests.unit.components.recorder import PROJECT, run, stack_config

STACKS = Path(__file__).parent / "stacks"
HAPPY = sorted(STACKS.glob("*.happy.yaml"))
ERROR = sorted(STACKS.glob("*.error.yaml"))


def load(values: dict[str, Any], encrypted: tuple[str, ...] = ()) -> Settings:
    """Read settings as the program does."""
    full, _ = stack_config(values, {})
    found: list[Settings] = []
    run(
        lambda: found.append(load_settings(pulumi.Config(PROJECT))),
        full,
        [f"{PROJECT}:{key}" for key in encrypted],
    )
    return found[0]


def of_stack(path: Path) -> dict[str, Any]:
    """A stack file's values as pulumi.Config would see them; other namespaces keep their prefix."""
    config: dict[str, Any] = yaml.safe_load(path.read_text())["config"]
    return {key.removeprefix(f"{PROJECT}:"): value for key, value in config.items()}


@pytest.mark.parametrize("path", HAPPY, ids=lambda path: path.name)
def test_good_stack(path: Path) -> None:
    assert load(of_stack(path)).domain_name


@pytest.mark.parametrize("path", ERROR, ids=lambda path: path.name)
def test_bad_stack_says_key_and_remedy(path: Path) -> None:
    expected = path.read_text().splitlines()[0].removeprefix("# expect: ")
    with pytest.raises(pulumi.RunError) as error:
        load(of_stack(path))
    assert expected in str(error.value)


def test_example_stack_is_good() -> None:
    settings = load(of_stack(ROOT / "Pulumi.dev.yaml"))
    assert settings.registry == "harbor.thinkube.example.org"
    assert settings.keycloak_url == "https://auth.thinkube.example.org"


def test_all_faults_at_once() -> None:
    with pytest.raises(pulumi.RunError) as error:
        load({"domian_name": "x", "storage": {"backend": "nfs"}, "hub": MINIMAL["hub"]})
    assert str(error.value).count("config key ") == 4, str(error.value)


def test_not_set_is_default() -> None:
    settings = load({**MINIMAL, "harbor_registry": "", "namespace": "", "identity": {}})
    assert (settings.registry, settings.namespace) == ("harbor.example.org", "jupyterhub")


@pytest.mark.parametrize("stack", ["Prod", "my_stack", "v1.2"])
def test_stack_name_must_fit_a_volume_name(stack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi, "get_stack", lambda: stack)
    with pytest.raises(pulumi.RunError, match=rf"stack {stack}: .*run `pulumi stack rename NAME`"):
        load(MINIMAL)


class TestSecrets:
    """Secrets come encrypted from the stack or from the environment, and stay secret Outputs."""

    def read(self, config: dict[str, Any], secrets: dict[str, str]) -> Secrets:
        full, keys = stack_config({**MINIMAL, **config}, secrets)
        found: list[Secrets] = []

        def program() -> None:
            stack = pulumi.Config(PROJECT)
            found.append(load_secrets(stack, load_settings(stack)))

        run(program, full, keys)
        return found[0]

    def test_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("HARBOR_ROBOT_TOKEN", raising=False)
        monkeypatch.delenv("KEYCLOAK_ADMIN_PASSWORD", raising=False)
        with pytest.raises(pulumi.RunError) as error:
            self.read({}, {})
        for key, variable in (
            ("harbor_robot_token", "HARBOR_ROBOT_TOKEN"),
            ("keycloak_admin_password", "KEYCLOAK_ADMIN_PASSWORD"),
        ):
            assert f"config key {key}: missing secret; run `pulumi config set --secret {key}`" in str(
                error.value
            )
            assert f"environment variable {variable}" in str(error.value)

    def test_from_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HARBOR_ROBOT_TOKEN", "a")
        monkeypatch.setenv("KEYCLOAK_ADMIN_PASSWORD", "b")
        secrets = self.read({}, {})
        assert secrets.thinkube_control_token is None
        assert isinstance(secrets.harbor_robot_token, pulumi.Output)

    def test_token_of_a_private_repository(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("EXAMPLES_TOKEN", raising=False)
        repository = {"url": "https://git.example.org/a.git", "private": True}
        with pytest.raises(
            pulumi.RunError, match=r"config key examples_token: missing secret.*EXAMPLES_TOKEN"
        ):
            self.read({"examples": {"repositories": [repository]}}, SECRETS)
        monkeypatch.setenv("EXAMPLES_TOKEN", "c")
        assert self.read({"examples": {"repositories": [repository]}}, SECRETS).examples_token is not None
        assert self.read({}, SECRETS).examples_token is None, "nothing that is public needs it"

    def test_in_clear_is_refused_without_showing_it(self) -> None:
        with pytest.raises(pulumi.RunError) as error:
            load({**MINIMAL, "harbor_robot_token": "hunter2"})
        assert "config key harbor_robot_token: the secret is stored in clear" in str(error.value)
        assert "hunter2" not in str(error.value)

    def test_secret_in_a_plain_object_is_refused(self) -> None:
        with pytest.raises(pulumi.RunError, match="config key identity: it holds a secret"):
            load({**MINIMAL, "identity": {"realm": "hunter2"}}, encrypted=("identity",))

    def test_key_without_certificate(self) -> None:
        with pytest.raises(pulumi.RunError, match="config key tls_certificate: missing"):
            self.read({}, {**SECRETS, "tls_private_key": "key"})


class TestSchema:
    """Pulumi.yaml declares what the reader knows, with the same defaults."""

    DECLARED: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]

    def test_same_keys(self) -> None:
        assert set(self.DECLARED) == set(Settings.model_fields) | {secret.key for secret in SECRET_KEYS}

    def test_same_defaults(self) -> None:
        for key, info in Settings.model_fields.items():
            default = "" if info.is_required() else info.get_default(call_default_factory=True)
            if isinstance(default, str):
                assert self.DECLARED[key]["default"] == default, key
                assert self.DECLARED[key]["type"] == "string", key
            elif isinstance(default, bool):
                assert self.DECLARED[key]["default"] is default, key
                assert self.DECLARED[key]["type"] == "boolean", key
            else:
                assert self.DECLARED[key]["default"] == {}, key
                assert self.DECLARED[key]["type"] == "object", key
                for name in type(default).model_fields.values():
                    assert str(name.alias) in self.DECLARED[key]["description"] or key == "hub", (
                        key,
                        name.alias,
                    )

    def test_every_key_is_described(self) -> None:
        assert all(entry["description"].endswith(".") for entry in self.DECLARED.values())

    def test_secrets_are_secret(self) -> None:
        for secret in SECRET_KEYS:
            assert self.DECLARED[secret.key]["secret"] is True
            # with a type the CLI itself would refuse a stack that takes the secret from the environment
            assert "type" not in self.DECLARED[secret.key]
        assert json.dumps(self.DECLARED).count('"secret": true') == len(SECRET_KEYS)
