"""Which cluster is meant: the sources in their order, several files merged, and what is wrong said with its file."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.preflight import kubeconfig
from components.preflight.kubeconfig import Choice, KubeconfigError, find, material


def config(name: str, **changes: Any) -> dict[str, Any]:
    """A kubeconfig with one context, cluster and user of that name."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}.example.org:6443/"}}],
        "users": [{"name": name, "user": {"token": f"token-of-{name}"}}],
        **changes,
    }


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


class TestSources:
    def test_the_config_key_as_a_path(self, tmp_path: Path) -> None:
        path = write(tmp_path / "own", config("own"))
        access = find(Choice(str(path)), {"KUBECONFIG": str(write(tmp_path / "env", config("env")))})
        assert (access.server, access.user) == ("https://own.example.org:6443", {"token": "token-of-own"})
        assert access.source == f"{path}, config key kubernetes:kubeconfig, context own"

    def test_the_config_key_as_contents(self, tmp_path: Path) -> None:
        access = find(Choice(yaml.safe_dump(config("own"))), {"KUBECONFIG": str(tmp_path / "none")})
        assert access.server == "https://own.example.org:6443"

    def test_the_variable_before_the_home(self, tmp_path: Path) -> None:
        home = {"HOME": str(tmp_path)}
        write(tmp_path / ".kube" / "config", config("home"))
        assert find(Choice(), home).server == "https://home.example.org:6443"
        env = write(tmp_path / "env", config("env"))
        assert find(Choice(), {**home, "KUBECONFIG": str(env)}).server == "https://env.example.org:6443"

    def test_several_files_the_first_wins(self, tmp_path: Path) -> None:
        first = write(tmp_path / "a" / "config", config("shared", **{"current-context": ""}))
        other = config("second")
        other["users"].append({"name": "shared", "user": {"token": "never"}})
        second = write(tmp_path / "b" / "config", other)
        environment = {"KUBECONFIG": f"{tmp_path / 'missing'}:{first}:{second}"}
        assert find(Choice(), environment).server == "https://second.example.org:6443"
        assert find(Choice(context="shared"), environment).user == {"token": "token-of-shared"}

    def test_paths_are_relative_to_their_file(self, tmp_path: Path) -> None:
        content = config("a")
        content["clusters"][0]["cluster"]["certificate-authority"] = "pki/ca.crt"
        path = write(tmp_path / "deep" / "config", content)
        write(tmp_path / "deep" / "pki" / "ca.crt", "PEM")
        access = find(Choice(), {"KUBECONFIG": str(path)})
        assert material(access.cluster, "certificate-authority") == "PEM"

    def test_in_a_pod(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kubeconfig, "ACCOUNT", tmp_path)
        write(tmp_path / "token", "word")
        environment = {
            "HOME": str(tmp_path),
            "KUBERNETES_SERVICE_HOST": "fd00::1",
            "KUBERNETES_SERVICE_PORT": "443",
        }
        access = find(Choice(), environment)
        assert access.server == "https://[fd00::1]:443"
        assert access.user == {"tokenFile": str(tmp_path / "token")}
        write(tmp_path / ".kube" / "config", config("home"))
        assert find(Choice(), environment).server == "https://home.example.org:6443"

    def test_context_and_cluster_of_the_stack(self, tmp_path: Path) -> None:
        content = config("a")
        content["contexts"].append({"name": "b", "context": {"cluster": "a", "user": "a"}})
        content["clusters"].append({"name": "c", "cluster": {"server": "https://c"}})
        environment = {"KUBECONFIG": str(write(tmp_path / "config", content))}
        assert find(Choice(context="b"), environment).server == "https://a.example.org:6443"
        assert find(Choice(context="b", cluster="c"), environment).server == "https://c"

    def test_names_that_look_like_dates_are_text(self, tmp_path: Path) -> None:
        path = write(tmp_path / "config", yaml.safe_dump(config("2024-01-01")).replace("'", ""))
        assert find(Choice(), {"KUBECONFIG": str(path)}).user == {"token": "token-of-2024-01-01"}


class TestFaults:
    """Each says what is wrong, in which file, and what to set."""

    def fault(self, choice: Choice, environment: dict[str, str]) -> str:
        with pytest.raises(KubeconfigError) as error:
            find(choice, environment)
        return f"{error.value}; {error.value.remedy}"

    def test_nothing_is_there(self, tmp_path: Path) -> None:
        text = self.fault(Choice(), {"HOME": str(tmp_path)})
        assert text == (
            f"no kubeconfig is there ({tmp_path}/.kube/config); "
            "set the environment variable KUBECONFIG or the config key kubernetes:kubeconfig"
        )
        assert "KUBECONFIG=/nowhere" in self.fault(Choice(), {"KUBECONFIG": "/nowhere"})

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ("a: [", "is not YAML, line 1"),
            ("just text", "is no kubeconfig"),
            ("- a", "is no kubeconfig"),
            ("clusters: text", "is no kubeconfig"),
            (config("a", **{"current-context": ""}), "sets no current-context"),
            (config("a", contexts=[]), "has no context a; run `pulumi config set kubernetes:context NAME`"),
            (config("a", clusters=[]), "has no cluster a with a server, which context a asks for"),
            (config("a", users=[]), "has no user a, whom context a asks for"),
        ],
    )
    def test_a_file_that_leads_nowhere(self, tmp_path: Path, content: Any, expected: str) -> None:
        path = write(tmp_path / "config", content)
        text = self.fault(Choice(), {"KUBECONFIG": str(path)})
        assert expected in text
        assert str(path) in text

    def test_a_context_that_is_not_there(self, tmp_path: Path) -> None:
        path = write(tmp_path / "config", config("a"))
        assert "has no context prod" in self.fault(Choice(context="prod"), {"KUBECONFIG": str(path)})

    def test_a_file_that_may_not_be_read(self, tmp_path: Path) -> None:
        path = tmp_path / "config"
        path.write_bytes(b"\xff\xfe\xfa")
        text = self.fault(Choice(), {"KUBECONFIG": str(path)})
        assert text.startswith(f"the kubeconfig {path} cannot be read (not text)")
        assert "config key kubernetes:kubeconfig" in text

    def test_the_config_key_holds_neither(self) -> None:
        text = self.fault(Choice("/nowhere/config"), {})
        assert (
            "kubernetes:kubeconfig holds neither a kubeconfig nor the path of a file (/nowhere/config)"
            in text
        )

    @pytest.mark.parametrize(
        "entry", [{"client-key": "/nowhere/key"}, {"client-key-data": base64.b64encode(b"\xff").decode()}]
    )
    def test_material_that_cannot_be_read(self, entry: dict[str, str]) -> None:
        with pytest.raises(KubeconfigError, match=r"the kubeconfig's client-key.* cannot be read"):
            material(entry, "client-key")
