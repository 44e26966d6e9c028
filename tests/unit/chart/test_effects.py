"""Every key of the schema has its effect; what has no effect is refused. The table is effects.yaml."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from traitlets.config import LazyConfigValue

Row = dict[str, Any]
ROWS: list[Row] = yaml.safe_load((Path(__file__).parent / "effects.yaml").read_text())
POLICIES = {
    "hub.networkPolicy": "hub",
    "proxy.chp.networkPolicy": "proxy",
    "singleuser.networkPolicy": "singleuser",
}
PROBES = {"hub": "Deployment/hub", "proxy.chp": "Deployment/proxy"}


def policy_rows() -> Iterator[Row]:
    """The three policies have the same keys; each rule is tried as the only one."""
    rules = {
        "dnsPortsCloudMetadataServer": {"ipBlock": {"cidr": "169.254.169.254/32"}},
        "dnsPortsKubeSystemNamespace": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}
        },
        "dnsPortsPrivateIPs": {"ipBlock": {"cidr": "10.0.0.0/8"}},
        "nonPrivateIPs": {
            "ipBlock": {
                "cidr": "0.0.0.0/0",
                "except": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.169.254/32"],
            }
        },
        "privateIPs": {"ipBlock": {"cidr": "192.168.0.0/16"}},
        "cloudMetadataServer": {"ipBlock": {"cidr": "169.254.169.254/32"}},
    }
    for key, name in POLICIES.items():
        at = f"NetworkPolicy/{name} spec"
        yield {
            "key": f"{key}.enabled",
            "value": False,
            "at": f"NetworkPolicy/{name}",
            "gives": None,
            "alone": "off",
        }
        yield {"key": f"{key}.ingress", "value": [{"ports": [{"port": 1}]}], "at": f"{at} ingress"}
        yield {"key": f"{key}.egress", "value": [{"ports": [{"port": 1}]}], "at": f"{at} egress"}
        yield {
            "key": f"{key}.interNamespaceAccessLabels",
            "value": "accept",
            "at": f"{at} ingress 1 from 1 namespaceSelector matchLabels",
            "gives": {f"hub.jupyter.org/network-access-{ {'proxy': 'proxy-http'}.get(name, name) }": "true"},
        }
        yield {
            "key": f"{key}.allowedIngressPorts",
            "value": [99],
            "at": f"{at} ingress 0 ports 0 port",
            "gives": 99,
        }
        for rule, target in rules.items():
            only = {other: other == rule for other in rules}
            nest: Any = only
            for part in reversed([*key.split("."), "egressAllowRules"]):
                nest = {part: nest}
            yield {
                "key": f"{key}.egressAllowRules.{rule}",
                "value": True,
                "at": f"{at} egress 2 to",
                "gives": [target],
                "with": nest,
                "alone": rule,
            }


def probe_rows() -> Iterator[Row]:
    for owner, deployment in PROBES.items():
        for at, probe in enumerate(("livenessProbe", "readinessProbe")):
            place = f"{deployment} spec template spec containers 0"
            off = {"value": False, "at": f"{place} {probe}", "gives": None, "alone": "off"}
            yield {"key": f"{owner}.{probe}.enabled", **off}
            for number, key in enumerate(
                ("initialDelaySeconds", "periodSeconds", "failureThreshold", "timeoutSeconds"), 31 + at
            ):
                yield {"key": f"{owner}.{probe}.{key}", "value": number, "at": f"{place} {probe} {key}"}


ALL = [*ROWS, *policy_rows(), *probe_rows()]
TOGETHER = [row for row in ALL if not row.get("alone")]
GROUPS: dict[str, list[Row]] = {}
"""rows that would get in the way of others; those with the same word in `alone` do not disturb each other"""
for _row in ALL:
    if _row.get("alone") and _row["at"] != "refused":
        GROUPS.setdefault(str(_row["alone"]), []).append(_row)


def leaves(schema: Row, definitions: Row, path: str = "") -> Iterator[str]:
    """Keys of the schema that are not just parents."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    if "properties" not in schema:
        yield path
        return
    assert schema["additionalProperties"] is False, f"{path or 'the top'} lets unknown keys pass"
    for key, below in schema["properties"].items():
        yield from leaves(below, definitions, f"{path}.{key}".lstrip("."))


def keys(values: Row, known: set[str], path: str = "") -> Iterator[str]:
    """Keys of values down to the schema's leaves."""
    for key, value in values.items():
        here = f"{path}.{key}".lstrip(".")
        if here in known or not isinstance(value, dict):
            yield here
        else:
            yield from keys(value, known, here)


@pytest.fixture(scope="module")
def schema_keys(tools: Any) -> set[str]:
    schema = json.loads((tools.chart / "values.schema.json").read_text())
    return set(leaves(schema, schema["definitions"]))


def lookup(found: Any, path: list[str]) -> Any:
    for part in path:
        if found is None:
            return None
        found = found[int(part)] if isinstance(found, list) else found.get(part)
    return found


def holds(found: Any, expected: Any) -> bool:
    """Equal; of a list the items, of a mapping the entries are contained."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return all(key in found and holds(found[key], value) for key, value in expected.items())
    if isinstance(expected, list) and isinstance(found, list):
        if not expected:
            return not found
        return all(any(holds(item, value) for item in found) for value in expected)
    return bool(found == expected)


def values_of(tools: Any, rows: list[Row]) -> Row:
    values = tools.least
    for row in rows:
        values = tools.merge(values, row.get("with", {}))
        values = tools.merge(values, tools.nested(row["key"], row["value"]))
    return values  # type: ignore[no-any-return]


def check(row: Row, objects: Row | None, config: Any) -> None:
    at = row["at"].split()
    expected = row.get("gives", row["value"])
    if row["at"].startswith("c."):
        _, section, trait = at[0].split(".")
        assert trait in config[section], f"{row['key']}: {at[0]} is not set"
        found = config[section][trait]
        if isinstance(found, LazyConfigValue):  # appended to a default that only the class knows
            found = found.get_value([])
    else:
        assert objects is not None
        found = objects.get(at[0])
    found = lookup(found, at[1:])
    assert holds(found, expected), f"{row['key']}: {row['at']} is {found}, not {expected}"


def test_table_has_every_key_of_the_schema_and_no_other(schema_keys: set[str]) -> None:
    table = [row["key"] for row in ALL]
    assert sorted(set(table)) == sorted(table)
    assert set(table) == schema_keys


def test_defaults_and_schema_have_the_same_keys(tools: Any, schema_keys: set[str]) -> None:
    defaults = yaml.safe_load((tools.chart / "values.yaml").read_text())
    # `global` is Helm's own: always there, never a default
    assert set(keys(defaults, schema_keys)) == schema_keys - {"global"}


def test_keys_have_their_effect_on_the_objects(template: Callable[[Row], Row], tools: Any) -> None:
    objects = template(values_of(tools, TOGETHER))
    for row in TOGETHER:
        if "/" in row["at"].split()[0]:
            check(row, objects, None)


def test_keys_have_their_effect_on_the_configuration(configure: Callable[..., Any], tools: Any) -> None:
    config = configure(values_of(tools, TOGETHER))
    from z2jh import get_config

    for row in TOGETHER:
        if row["at"].startswith("c."):
            check(row, None, config)
        elif row["at"] == "values":
            assert get_config(row["key"]) == row["value"]


@pytest.mark.parametrize("row", [row for row in ALL if row["at"] == "refused"], ids=lambda row: row["key"])
def test_refused_with_a_sentence(row: Row, template: Callable[[Row], Row], tools: Any) -> None:
    with pytest.raises(ValueError, match="stand-in chart") as refusal:
        template(values_of(tools, [row]))
    assert row["gives"] in str(refusal.value)


@pytest.mark.parametrize("group", GROUPS)
def test_keys_alone(
    group: str, template: Callable[[Row], Row], configure: Callable[..., Any], tools: Any
) -> None:
    rows = GROUPS[group]
    values = values_of(tools, rows)
    objects = template(values) if any("/" in row["at"] for row in rows) else None
    config = configure(values) if any(row["at"].startswith("c.") for row in rows) else None
    for row in rows:
        check(row, objects, config)
