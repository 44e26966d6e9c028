"""From what is submitted, by whatever road, to what the pod gets: the shim's hooks on a real KubeSpawner."""

from __future__ import annotations

import asyncio
import runpy
import sys
import types
from pathlib import Path
from typing import Any

import kubespawner.spawner
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from jupyterhub.utils import format_exception
from thinkube_profiles import hooks
from thinkube_profiles.discovery import Discovery
from thinkube_profiles.rules import Settings
from tornado import web
from traitlets.config import Config

SHIM = Path(__file__).resolve().parents[3] / "notebooks-profile" / "50-thinkube.py"
GIB = 2**30
DIGEST = "sha256:" + "ab" * 32
GOOD = {"profile": "basic", "image": "tk-jupyter-scipy"}


@pytest.fixture
async def spawner(settings: Settings, discovery: Discovery, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A spawner as the hub makes it, all sources having answered."""
    monkeypatch.setattr(kubespawner.spawner, "load_config", lambda **_: None)
    await discovery.refresh()
    monkeypatch.setattr(discovery, "ensure_started", lambda: None)
    c = Config()
    # As the chart has it before the shim runs: none of it may survive a verdict.
    c.KubeSpawner.image = "chart/default:1"
    c.KubeSpawner.mem_guarantee = "1G"
    c.Spawner.consecutive_failure_limit = 5
    hooks.install(c, settings, discovery)
    return c.JupyterHub.spawner_class(config=c, _mock=True)


async def start(spawner: Any, options: object) -> dict[str, Any]:
    """JupyterHub's and KubeSpawner's steps from stored options to the notebook's container."""
    spawner.user_options = options
    await spawner._run_apply_user_options(spawner.user_options)
    await spawner.load_user_options()
    container = (await spawner.get_pod_manifest()).spec.containers[0]
    return {
        "image": container.image,
        "limits": dict(container.resources.limits),
        "requests": dict(container.resources.requests),
    }


class TestStart:
    """The verdict is reached anew at every start, and it alone reaches the pod."""

    async def test_the_pod_gets_the_choice(self, spawner: Any) -> None:
        assert await start(spawner, GOOD) == {
            "image": f"harbor.example.org/library/tk-jupyter-scipy@{DIGEST}",
            "limits": {"cpu": 2, "memory": 4 * GIB},
            "requests": {"cpu": 1, "memory": 4 * GIB},
        }

    async def test_a_second_start_keeps_nothing_of_the_first(self, spawner: Any) -> None:
        await start(spawner, {"profile": "large", "image": "team-r"})
        pod = await start(spawner, GOOD)
        assert pod["limits"] == {"cpu": 2, "memory": 4 * GIB}
        assert pod["image"].endswith(DIGEST)

    @pytest.mark.parametrize(
        "options",
        [
            {},
            None,
            [],
            [GOOD],
            "basic",
            {"image": "tk-jupyter-scipy"},
            {"profile": "", "image": "tk-jupyter-scipy"},
            GOOD | {"image": "evil.example.org/miner:latest"},
            GOOD | {"image": "tk-jupyter-scipy\n"},
            GOOD | {"image": "tk-jupyter-ml-gpu"},
            GOOD | {"profile": "huge"},
            GOOD | {"profile": True},
            GOOD | {"profile": ["basic"]},
            GOOD | {"mem_limit": "1T"},
            GOOD | {"cpu": 10**30},
            GOOD | {"image--unlisted-choice": "evil.example.org/miner"},
            GOOD | {"kubespawner_override": {"image": "x"}},
        ],
    )
    async def test_every_bypass_is_refused_with_a_sentence(self, spawner: Any, options: object) -> None:
        with pytest.raises(web.HTTPError) as refused:
            await start(spawner, options)
        assert 400 <= refused.value.status_code < 500
        message, _ = format_exception(refused.value)
        assert message.endswith(".")
        assert str(refused.value.get_message()) == message
        assert spawner.image == "chart/default:1"

    async def test_a_percent_sign_cannot_break_the_message(self, spawner: Any) -> None:
        with pytest.raises(web.HTTPError) as refused:
            await start(spawner, GOOD | {"profile": "%s%d%(x)s"})
        assert "%s%d%(x)s" in str(refused.value)

    async def test_an_image_that_is_gone_is_refused(
        self, spawner: Any, discovery: Discovery, answers: Any
    ) -> None:
        answers.images_answer.pop()
        await discovery.refresh()
        with pytest.raises(web.HTTPError, match="not on offer"):
            await start(spawner, {"profile": "basic", "image": "team-r"})

    async def test_while_figures_are_stale_no_start_is_possible(self, spawner: Any, answers: Any) -> None:
        answers.now += 301
        with pytest.raises(web.HTTPError, match="thinkube-control") as refused:
            await start(spawner, GOOD)
        assert refused.value.status_code == 503

    async def test_refusals_never_add_up_to_the_hubs_end(self, spawner: Any) -> None:
        assert spawner.consecutive_failure_limit == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
NEAR = st.fixed_dictionaries(
    {
        "profile": st.sampled_from(["basic", "large", "huge"]) | JSON,
        "image": st.sampled_from(["tk-jupyter-scipy", "tk-jupyter-ml-gpu", "team-r"]) | JSON,
    }
)


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(options=JSON | NEAR)
async def test_any_json_is_refused_or_makes_a_pod_within_the_table(spawner: Any, options: object) -> None:
    refusal = None
    try:
        pod = await start(spawner, options)
    except web.HTTPError as refused:
        refusal = refused
    if refusal:
        assert refusal.status_code in (400, 409)
    else:
        assert (pod["limits"]["cpu"], pod["limits"]["memory"]) in {(2, 4 * GIB), (8, 16 * GIB)}
        assert pod["image"].startswith("harbor.example.org/library/t")


class TestPage:
    """The form on the page, and what becomes of it when it is sent."""

    async def test_the_form_follows_the_answers(
        self, spawner: Any, discovery: Discovery, answers: Any, image_row: Any
    ) -> None:
        assert "image-new-one" not in await spawner.get_options_form()
        answers.images_answer.append(image_row("new-one", "v1"))
        await discovery.refresh()
        assert "image-new-one" in await spawner.get_options_form()

    async def test_images_that_need_a_gpu_are_not_shown(self, spawner: Any) -> None:
        assert "tk-jupyter-ml-gpu" not in await spawner.get_options_form()

    async def test_a_stale_page_names_the_service_and_offers_nothing(
        self, spawner: Any, answers: Any
    ) -> None:
        answers.now += 301
        page = await spawner.get_options_form()
        assert "stale-notice" in page
        assert "thinkube-control" in page
        assert "<input" not in page

    @pytest.mark.parametrize("stored", [None, [], "x", {"profile": [], "image": 5}, {"a": 1}])
    async def test_stored_garbage_does_not_break_the_page(self, spawner: Any, stored: object) -> None:
        spawner.user_options = stored
        assert 'value="basic"' in await spawner.get_options_form()

    @pytest.mark.parametrize("stored", [[1], "x", 5, {}])
    async def test_the_hub_starts_again_with_whatever_is_stored(
        self, stored: object, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # As JupyterHub makes spawners from its database; the base class fails on all but a dict.
        monkeypatch.setattr(kubespawner.spawner, "load_config", lambda **_: None)
        assert hooks.ProfileSpawner(user_options=stored, _mock=True).user_options == stored

    async def test_a_sent_form_becomes_options_that_start(self, spawner: Any) -> None:
        options = spawner.run_options_from_form({"profile": ["basic"], "image": ["team-r"], "_xsrf": ["x"]})
        assert options == {"profile": "basic", "image": "team-r"}
        assert (await start(spawner, options))["image"] == "harbor.example.org/library/team-r:v1"

    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"profile": ["basic", "large"], "image": ["team-r"]},
            {"profile": ["basic"], "image_file": [{}]},
        ],
    )
    async def test_a_bent_form_is_refused_at_once(self, spawner: Any, fields: dict[str, Any]) -> None:
        with pytest.raises(web.HTTPError) as refused:
            spawner.run_options_from_form(fields)
        assert refused.value.status_code == 400

    async def test_a_link_starts_nothing(self, spawner: Any) -> None:
        with pytest.raises(hooks.LinkOpened) as opened:
            spawner.options_from_query({"profile": ["basic"], "image": ["team-r"]})
        assert format_exception(opened.value) == ("", None)


class TestShim:
    """The file that the hub executes, with the chart's `z2jh` and `c` in place."""

    @pytest.fixture
    def executed(self, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
        chart = types.ModuleType("z2jh")
        chart.get_config = {"custom.thinkube": values}.get  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "z2jh", chart)

        def execute() -> Config:
            c = Config()
            runpy.run_path(str(SHIM), init_globals={"c": c})
            return c

        return execute

    def test_it_sets_the_hooks_without_a_loop(self, executed: Any) -> None:
        c = executed()
        assert c.JupyterHub.spawner_class is hooks.ProfileSpawner
        assert set(c.KubeSpawner) == {
            "apply_user_options",
            "consecutive_failure_limit",
            "options_form",
            "options_from_form",
            "profile_list",
        }

    async def test_with_a_loop_discovery_runs_and_the_page_waits(
        self, executed: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kubespawner.spawner, "load_config", lambda **_: None)
        before = asyncio.all_tasks()
        c = executed()
        [task] = asyncio.all_tasks() - before
        assert task.get_name() == "thinkube-discovery"
        page = await c.JupyterHub.spawner_class(config=c, _mock=True).get_options_form()
        assert "Waiting for the first answer of thinkube-control" in page
        # Spawners copy their configuration deeply; the task must stay the only one.
        assert [found for found in asyncio.all_tasks() if found.get_name() == task.get_name()] == [task]
        task.cancel()

    def test_wrong_values_stop_the_hub_with_the_key(self, executed: Any, values: dict[str, Any]) -> None:
        values["profiles"]["sizes"][0]["cpu"] = -1
        with pytest.raises(ValueError, match=r"custom\.thinkube\.profiles\.sizes\.0\.cpu"):
            executed()


def test_the_package_imports_only_what_the_hub_image_carries() -> None:
    allowed = {"jupyterhub", "kubespawner", "oauthenticator", "tornado", "traitlets", "pydantic"}
    allowed |= {"prometheus_client"}  # JupyterHub itself needs it
    allowed |= {"kubernetes_asyncio", "yaml", "thinkube_profiles", "z2jh"} | set(sys.stdlib_module_names)
    for path in [SHIM, *(SHIM.parent / "thinkube_profiles").glob("*.py")]:
        for line in path.read_text().splitlines():
            words = line.split()
            if words[:1] in (["import"], ["from"]) and not words[1].startswith("."):
                assert words[1].split(".")[0] in allowed, f"{path.name}: {line}"
