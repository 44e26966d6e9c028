"""The rules that all stand-in providers share: secrets, unknowns, paths, differences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import PropertyDiffKind as Kind

from local.providers.values import (
    UNKNOWN,
    at,
    autoname,
    below,
    changes,
    diff_response,
    has_unknown,
    join,
    marked,
    plain,
    plain_map,
    wrap,
    wrap_map,
)

keys = st.text(min_size=1, max_size=8)
data = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(keys, data, max_size=4))
def test_plain_undoes_wrap_through_the_wire(value: dict[str, object]) -> None:
    wire = PropertyValue.marshal_map(wrap_map(value))
    assert plain_map(PropertyValue.unmarshal_map(wire)) == value


@given(st.dictionaries(keys, data, max_size=4))
def test_every_difference_is_at_its_path(value: dict[str, object]) -> None:
    assert changes(value, value) == {}
    for path, kind in changes({}, value).items():
        assert kind is Kind.ADD
        assert at(value, path) == value[next(key for key in value if join("", key) == path)]


def test_secrets_follow_the_inputs() -> None:
    inputs = {
        "a": wrap({"x": "1"}),
        "s": wrap("2").with_secret(True),
        "l": PropertyValue([wrap("3").with_secret(True)]),
    }
    inputs["a"] = PropertyValue({"x": wrap("1").with_secret(True), "y": wrap("4")})
    answer = marked(
        wrap_map({"a": {"x": "9", "y": "4", "z": "5"}, "s": "7", "l": ["8", "9"], "n": "1"}), inputs
    )
    assert answer["s"].is_secret
    assert answer["l"].is_secret  # a list as a whole: its order may change
    assert not answer["n"].contains_secret()
    inner = answer["a"].value
    assert isinstance(inner, dict) or hasattr(inner, "items")
    assert {key: item.is_secret for key, item in inner.items()} == {"x": True, "y": False, "z": False}  # type: ignore[union-attr]


def test_unknowns_of_any_type_are_one() -> None:
    boolean = PropertyValue("1c4a061d-8072-4f0a-a4cb-0ff528b18fe7")
    assert plain(boolean) == UNKNOWN
    assert has_unknown({"a": [{"b": plain(boolean)}]})
    assert not has_unknown({"a": ["b"]})


@pytest.mark.parametrize(
    ("path", "prefix", "inside"),
    [
        ("data", "data", True),
        ("data.key", "data", True),
        ('data["a.b"]', "data", True),
        ("database", "data", False),
        ("spec.template[0]", "spec.template", True),
        ("spec", "spec.template", False),
    ],
)
def test_below(path: str, prefix: str, inside: bool) -> None:
    assert below(path, prefix) is inside


def test_differences_and_what_replaces() -> None:
    old = {"spec": {"a": 1, "b": [1, 2], "gone": True}, "name": "x", "flag": 1}
    new = {"spec": {"a": 2, "b": [1]}, "name": "y", "more": {}, "flag": True}
    found = changes(old, new)
    assert found == {
        "spec.a": Kind.UPDATE,
        "spec.b[1]": Kind.DELETE,
        "spec.gone": Kind.DELETE,
        "name": Kind.UPDATE,
        "more": Kind.ADD,
        "flag": Kind.UPDATE,
    }
    answer = diff_response(found, replacing=["name", "spec.b"], ignored=["spec.a"], delete_first=True)
    assert sorted(answer.replaces) == ["name", "spec.b[1]"]
    assert "spec.a" not in answer.detailed_diff
    assert answer.detailed_diff["name"].kind is Kind.UPDATE_REPLACE
    assert answer.detailed_diff["more"].kind is Kind.ADD
    assert answer.delete_before_replace


def test_a_parent_that_goes_replaces_too() -> None:
    """Removing all of ``spec`` removes ``spec.hostPath``, which cannot change."""
    answer = diff_response({"spec": Kind.DELETE}, replacing=["spec.hostPath"])
    assert answer.replaces == ["spec"]


def test_everything_ignored_is_no_change() -> None:
    answer = diff_response({"a.b": Kind.UPDATE}, replacing=["a"], ignored=["a"], delete_first=True)
    assert (answer.changes, answer.replaces, answer.delete_before_replace) == (False, [], False)


def test_autoname_repeats_with_its_seed() -> None:
    first = autoname(b"seed", "code")
    assert first == autoname(b"seed", "code")
    assert first != autoname(b"other", "code")
    assert first.startswith("code-")
    assert len(first) == len("code-") + 8
    assert first == first.lower()
