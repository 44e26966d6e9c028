"""The picture in docs/architecture.md: it is what the program gives, whole and in a form that can be drawn."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import typer.testing

from admin.cli import app
from admin.errors import AdminError
from admin.graph.command import BEGIN, END, PAGE, with_picture
from admin.graph.mermaid import flowchart
from admin.graph.model import Component, Graph, Kind, graph
from admin.graph.record import Registration, record
from admin.stack import REPO


def registered(
    kind: str,
    name: str,
    parent: str = "",
    needs: Sequence[str] = (),
    inputs: dict[str, object] | None = None,
    kept: bool = False,
) -> Registration:
    """One resource whose URN is its logical name."""
    return Registration(name, kind, name, parent, inputs or {}, frozenset(needs), kept)


PROGRAM = (
    registered("pulumi:pulumi:Stack", "stack"),
    registered("pulumi:providers:kubernetes", "cluster", "stack"),
    registered("thinkube:a:Ground", "ground", "stack"),
    registered("thinkube:b:Wall", "wall", "stack"),
    registered("thinkube:c:Roof", "roof", "stack"),
    registered(
        "kubernetes:core/v1:Namespace", "ns", "ground", inputs={"metadata": {"name": "home"}}, kept=True
    ),
    registered("kubernetes:core/v1:Secret", "key", "ground", ["ns"], {"metadata": {"namespace": "home"}}),
    registered("keycloak:openid/client:Client", "client", "wall", ["ns"], {"name": "Hub", "clientId": "hub"}),
    registered("keycloak:openid/mapper:Mapper", "mapper", "client", [], {"name": "groups", "clientId": "x"}),
    registered("docker:index/image:Image", "image", "wall", inputs={"imageName": "h:5000/team/tk-a:123"}),
    registered("kubernetes:core/v1:Secret", "token", "wall", ["ns", "key"], {"metadata": {"name": "t"}}),
    registered("kubernetes:core/v1:ConfigMap", "code", "roof", ["token", "ns", "key"], {"metadata": {}}),
    registered("kubernetes:core/v1:Namespace", "loose", "stack"),
)


def test_components_with_their_resources_by_kind() -> None:
    found = {component.title: component for component in graph(PROGRAM).components}

    assert list(found) == ["Ground", "Wall", "Roof"], "what is needed comes first"
    assert found["Ground"].kinds == (
        Kind("Namespace", "kubernetes", True, ("home",)),
        Kind("Secret", "kubernetes", False, ("key-*",)),
    )
    assert {kind.name: kind.members for kind in found["Wall"].kinds} == {
        "Client": ("hub",),
        "Image": ("tk-a",),
        "Mapper": ("groups",),  # a child's child
        "Secret": ("t",),
    }


def test_needs_between_components_without_those_that_follow() -> None:
    assert [(need.earlier, need.later, need.kinds) for need in graph(PROGRAM).needs] == [
        ("ground", "wall", ("Namespace", "Secret")),
        ("wall", "roof", ("Secret",)),
    ]


def test_the_order_of_registration_does_not_show() -> None:
    """The program registers resources as their inputs get known: each run in another order."""
    shuffled = list(PROGRAM)
    for seed in range(20):
        random.Random(seed).shuffle(shuffled)  # noqa: S311
        assert flowchart(graph(shuffled)) == flowchart(graph(PROGRAM))


def test_a_name_cannot_end_its_label() -> None:
    odd = Graph((Component("a", "A", (Kind("K", "docker", False, ('x"]<b>#1',)),)),), ())

    assert '  a["<b>A</b><br><i>registry K</i><br>x#quot;]#lt;b#gt;#35;1"]:::own' in flowchart(odd)


def test_what_stays_on_destroy_is_told() -> None:
    drawn = flowchart(graph(PROGRAM))

    assert "<i>Namespace, kept</i><br>home<br><i>Secret</i>" in drawn
    assert re.findall(r"^  (\w+)\[.*:::keeps$", drawn, flags=re.MULTILINE) == ["ground"]


def test_the_diagram_goes_between_the_markers_and_nowhere_else() -> None:
    once = with_picture(f"before\n{BEGIN}\nold\n{END}\nafter\n", "one\n")

    assert once == f"before\n{BEGIN}\n\n```mermaid\none\n```\n\n{END}\nafter\n"
    assert with_picture(once, "two\n") == once.replace("one", "two")


@pytest.mark.parametrize(
    "text", ["", BEGIN, END, f"{END}{BEGIN}", f"{BEGIN}{BEGIN}{END}", f"{BEGIN}{END}{END}"]
)
def test_a_page_without_its_markers_is_refused(text: str) -> None:
    with pytest.raises(AdminError, match="each once and in this order"):
        with_picture(text, "")


def test_a_program_that_fails_is_told_in_its_own_words(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: some\n")
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {}\n")
    (tmp_path / "__main__.py").write_text("raise ValueError('the roof is missing')\n")

    with pytest.raises(AdminError, match="the roof is missing"):
        record(tmp_path)


def test_architecture_is_in_step_and_the_command_says_so(tmp_path: Path) -> None:
    runner = typer.testing.CliRunner()
    assert runner.invoke(app, ["graph", "--check"]).exit_code == 0, "run `python -m admin graph`"
    other = tmp_path / "page.md"
    other.write_text(f"{BEGIN}\n{END}\n")

    assert runner.invoke(app, ["graph", "--check", "--page", str(other)]).exit_code == 1
    assert other.read_text() == f"{BEGIN}\n{END}\n"
    assert runner.invoke(app, ["graph", "--page", str(other)]).exit_code == 0
    drawn = other.read_text()
    assert drawn.strip() in PAGE.read_text()


def test_every_component_is_in_the_picture() -> None:
    sources = "".join(path.read_text() for path in (REPO / "components").glob("*.py"))
    classes = set(re.findall(r"^class (\w+)\(pulumi\.ComponentResource\)", sources, flags=re.MULTILINE))

    assert classes == set(re.findall(r'^  \w+\["<b>(\w+)</b>', PAGE.read_text(), flags=re.MULTILINE))
