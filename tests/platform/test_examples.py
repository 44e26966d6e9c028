"""The examples: cloned before the update ends, read-only and up to date for users, and a failure that says why."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

from components.examples import CRON_JOB, JOB
from local import git_server, seaweed
from local.cluster_parts import api_client
from local.engine import EngineError, Stack
from local.paths import REPO
from local.platform import TEST

NAME = "thinkube-ai-examples"


@pytest.fixture(scope="module")
def volume(hub_stack: Stack) -> Path:
    """The examples' volume of the deployed stack, as the platform has it."""
    return seaweed.folder(TEST.stack) / "examples"


def test_the_clone_is_there_when_the_update_ends(volume: Path) -> None:
    job = client.BatchV1Api(api_client()).read_namespaced_job(JOB, TEST.namespace)
    assert job.status.succeeded == 1
    assert (volume / NAME).is_symlink()
    assert (volume / NAME / "common" / "first-steps.ipynb").is_file()
    status = json.loads((volume / ".status.json").read_text())["repositories"][NAME]
    assert status["error"] == ""
    assert (volume / NAME).readlink().name == status["commit"]


def test_a_job_made_by_hand_brings_the_next_commit(volume: Path, changed_examples: str) -> None:
    """As `kubectl create job --from=cronjob/thinkube-ai-examples-sync` does."""
    job = _run_by_hand()
    assert job.status.succeeded == 1, job.status
    assert (volume / NAME).readlink().name == changed_examples


def test_a_branch_that_is_not_there_fails_the_update_and_users_keep_what_they_have(
    hub_stack: Stack, volume: Path, examples_from: Callable[..., None]
) -> None:
    before = (volume / NAME).readlink()
    examples_from(ref="no-such-branch")

    with pytest.raises(
        EngineError, match=r"Examples repository: it has no branch or tag no-such-branch .*\[\]\.ref"
    ):
        hub_stack.preview()

    hub_stack.set_config({"preflight": "false"})  # then it is the Job that says so
    with pytest.raises(EngineError, match="it has no branch or tag no-such-branch"):
        hub_stack.up()

    assert (volume / NAME).readlink() == before


@pytest.fixture
def examples_from(hub_stack: Stack) -> Iterator[Callable[..., None]]:
    """Changes the repository's configuration; as it was, and deployed, after."""
    before = yaml.safe_load(hub_stack.config_file.read_text())["config"][f"{hub_stack.project}:examples"]

    def configure(**change: str) -> None:
        repository = {**before["repositories"][0], **change}
        hub_stack.set_config({"examples": {**before, "repositories": [repository]}})

    yield configure
    hub_stack.set_config({"examples": before, "preflight": "true"})
    assert hub_stack.up().counts["same"] > 0
    assert client.BatchV1Api(api_client()).read_namespaced_job(JOB, TEST.namespace).status.succeeded == 1


@pytest.fixture
def changed_examples(tmp_path: Path) -> Iterator[str]:
    """A new commit of the default repository; the checkout's content again after."""
    (tmp_path / "common").mkdir()
    (tmp_path / "common" / "first-steps.ipynb").write_text("{}")
    (tmp_path / "new.md").write_text(uuid.uuid4().hex)
    try:
        yield git_server.publish(tmp_path, git_server.EXAMPLES)
    finally:
        git_server.publish(REPO / "examples", git_server.EXAMPLES)
        _run_by_hand()


def _run_by_hand() -> Any:
    """Run the CronJob's template once; the Job as it ended."""
    batch = client.BatchV1Api(api_client())
    template = batch.read_namespaced_cron_job(CRON_JOB, TEST.namespace).spec.job_template
    name = f"manual-sync-{uuid.uuid4().hex[:6]}"
    body = client.V1Job(
        metadata=client.V1ObjectMeta(name=name, labels=template.metadata.labels), spec=template.spec
    )
    batch.create_namespaced_job(TEST.namespace, body)
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            job = batch.read_namespaced_job(name, TEST.namespace)
            if job.status.succeeded or job.status.failed:
                return job
            time.sleep(1)
        raise AssertionError(f"{name} did not end: {job.status}")
    finally:
        batch.delete_namespaced_job(name, TEST.namespace, propagation_policy="Background")
