"""ExamplesSync: what its pods may do, what makes the first sync run again, and where the token goes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components.examples import ExamplesSync, egress_ports, script_settings
from components.settings.models import Examples
from tests.unit.components.conftest import ROOT, SECRETS, Program

JOB, CRON = "kubernetes:batch/v1:Job", "kubernetes:batch/v1:CronJob"
CONFIG_MAP, SECRET = "kubernetes:core/v1:ConfigMap", "kubernetes:core/v1:Secret"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
PRIVATE = {"examples": {"repositories": [{"url": "https://git.example.org/a.git", "private": True}]}}


def pods(made: Any) -> list[Any]:
    """Pod specs of the first and of the daily sync."""
    first = made.inputs(JOB, "examples-first")["spec"]
    daily = made.inputs(CRON)["spec"]["jobTemplate"]["spec"]
    return [first["template"]["spec"], daily["template"]["spec"]]


class TestJobs:
    """Fixed names, one after the other, and nothing that drifts once it has ended."""

    def test_first(self, program: Program) -> None:
        job = program().inputs(JOB, "examples-first")
        assert job["metadata"]["name"] == "clone-thinkube-ai-examples"
        assert job["metadata"]["annotations"]["pulumi.com/replaceUnready"] == "true"
        assert "ttlSecondsAfterFinished" not in job["spec"]
        assert job["spec"]["template"]["spec"]["containers"][0]["command"][-1] == "first"

    def test_daily(self, program: Program) -> None:
        cron = program({"examples": {"schedule": "1 2 * * *"}}).inputs(CRON)
        assert cron["metadata"]["name"] == "thinkube-ai-examples-sync"
        assert cron["spec"]["schedule"] == "1 2 * * *"
        assert cron["spec"]["concurrencyPolicy"] == "Forbid"
        assert cron["spec"]["failedJobsHistoryLimit"] == 3
        spec = cron["spec"]["jobTemplate"]["spec"]
        assert spec["template"]["spec"]["containers"][0]["command"][-1] == "daily"

    def test_update_waits_longer_than_the_job_may_take(self, program: Program) -> None:
        made = program({"examples": {"timeoutSeconds": 1800}})
        deadline = made.inputs(JOB, "examples-first")["spec"]["activeDeadlineSeconds"]
        assert deadline == 300 + 1800
        assert made.request(JOB, "examples-first").customTimeouts.create == "2160s"

    def test_no_repository(self, program: Program) -> None:
        made = program({"examples": {"repositories": []}})
        assert CRON not in made.types()
        assert "examples-code" not in made.types()[CONFIG_MAP]
        assert made.outputs["claims"]["examples"] == "jupyterhub-examples-pvc"


class TestPods:
    """Pod Security `restricted`, no token of the cluster, a read-only root, the volume writable only here."""

    def test_hardening(self, program: Program) -> None:
        for pod in pods(program()):
            (container,) = pod["containers"]
            assert pod["automountServiceAccountToken"] is False
            assert (pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsGroup"]) == (1000, 100)
            assert pod["securityContext"]["runAsNonRoot"] is True
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert set(container["resources"]["limits"]) == {"cpu", "memory"}
            writable = [m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")]
            assert writable == ["/examples", "/tmp"]

    def test_default_image_by_digest_unless_named(self, program: Program) -> None:
        (container,) = pods(program())[0]["containers"]
        assert "/tk-jupyter-scipy@sha256:" in container["image"]
        named = f"registry.example.org/tools:1@sha256:{'a' * 64}"
        (container,) = pods(program({"examples": {"image": named}}))[0]["containers"]
        assert container["image"] == named

    def test_network(self, program: Program) -> None:
        policy = program().inputs(POLICY)["spec"]
        assert "ingress" not in policy
        assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
        assert [port["port"] for rule in policy["egress"] for port in rule["ports"]] == [53, 53, 443, 8443]
        labels = program().inputs(JOB, "examples-first")["spec"]["template"]["metadata"]["labels"]
        assert policy["podSelector"]["matchLabels"].items() <= labels.items()

    def test_port_of_the_url(self) -> None:
        examples = Examples.model_validate({"repositories": [{"url": "https://git.example.org:3000/a.git"}]})
        assert egress_ports(examples) == [3000, 8443]


class TestScript:
    """Script and settings come by a ConfigMap that a change replaces; the pods name it."""

    def test_code(self, program: Program) -> None:
        made = program({"identity": {"caBundle": CA}})
        code = made.inputs(CONFIG_MAP, "examples-code")
        assert code["immutable"] is True
        assert "name" not in code["metadata"]
        scripts = {file.name: file.read_text() for file in (ROOT / "examples-sync").glob("*.py")}
        assert {name: text for name, text in code["data"].items() if name.endswith(".py")} == scripts
        assert code["data"]["ca.crt"] == CA, "one private CA for the platform needs to be said once"
        for pod in pods(made):
            assert pod["volumes"][0]["configMap"]["name"] == "examples-code-0000"

    def test_settings_are_what_the_script_takes(self) -> None:
        from sync_git import Repository

        examples = Examples.model_validate(
            {
                "repositories": [
                    {"url": "https://g.example.org/a.git"},
                    {"url": "https://g.example.org/b", "name": "c"},
                ]
            }
        )
        read = [Repository(**item) for item in json.loads(script_settings(examples))["repositories"]]
        assert [(item.folder, item.ref, item.private) for item in read] == [
            ("a", "main", False),
            ("c", "main", False),
        ]

    @pytest.mark.parametrize("folder", ["..", ".hidden", "a/b", "-x"])
    def test_settings_refuse_what_the_script_refuses(self, folder: str) -> None:
        from examples_sync import _FOLDER

        assert not _FOLDER.fullmatch(folder)
        with pytest.raises(ValueError, match="must be a folder's name"):
            Examples.model_validate(
                {"repositories": [{"url": "https://g.example.org/a.git", "name": folder}]}
            )


class TestToken:
    """By reference only, and only where a repository wants it."""

    def test_public_repositories_get_none(self, program: Program) -> None:
        made = program({}, {**SECRETS, "examples_token": "word-of-the-token"})
        assert "examples-token" not in made.types()[SECRET]
        assert all("env" not in pod["containers"][0] for pod in pods(made))

    def test_private(self, program: Program) -> None:
        made = program(PRIVATE, {**SECRETS, "examples_token": "word-of-the-token"})
        for pod in pods(made):
            (variable,) = pod["containers"][0]["env"]
            assert variable["valueFrom"]["secretKeyRef"] == {"name": "examples-token-0000", "key": "token"}
        for item in made.resources:
            if item.typ != SECRET:
                assert "word-of-the-token" not in json.dumps(item.inputs, default=str), item.name

    def test_rotation_runs_the_first_sync_again(self, program: Program) -> None:
        jobs = [
            program(PRIVATE, {**SECRETS, "examples_token": token}).inputs(JOB, "examples-first")["spec"]
            for token in ("one", "two")
        ]
        assert jobs[0] != jobs[1]


def test_deadline_leaves_time_to_start() -> None:
    assert ExamplesSync._deadline(Examples()) == 600
