"""helm.sh/v3:Release: a Helm release whose state is its chart version, its values and what Helm recorded.

A refresh finds a release that is gone, rolled back or changed by hand; an upgrade that failed leaves the
release in the state as failed, so that the next update tries again.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from pulumi.provider.experimental import provider as rpc
from pulumi.provider.experimental.property_value import PropertyValue

from local.providers.kubernetes.helm import Helm, HelmError, content_of, merged, record, resource_names
from local.providers.serve import InitFailed, ProviderError
from local.providers.values import (
    UNKNOWN,
    Properties,
    changes,
    diff_response,
    has_unknown,
    marked,
    plain_map,
    wrap,
    wrap_map,
)

if TYPE_CHECKING:
    from local.providers.kubernetes.settings import Settings

Json = dict[str, Any]

DEFAULT_TIMEOUT = 300
"""Seconds that an awaited release may take (pulumi-kubernetes, ``helm_release.go``)."""

_SWITCHES = [
    "allowNullValues",
    "atomic",
    "cleanupOnFail",
    "createNamespace",
    "dependencyUpdate",
    "devel",
    "disableCRDHooks",
    "disableOpenapiValidation",
    "disableWebhooks",
    "forceUpdate",
    "lint",
    "recreatePods",
    "renderSubchartNotes",
    "replace",
    "resetValues",
    "reuseValues",
    "skipAwait",
    "skipCrds",
    "takeOwnership",
    "verify",
    "waitForJobs",
]
_INPUTS = frozenset(
    [
        "chart",
        "compat",
        "description",
        "keyring",
        "manifest",
        "maxHistory",
        "name",
        "namespace",
        "postrender",
        "repositoryOpts",
        "resourceNames",
        "timeout",
        "valueYamlFiles",
        "values",
        "version",
    ]
) | set(_SWITCHES)
_REPOSITORY = frozenset(["caFile", "certFile", "keyFile", "password", "repo", "username"])
_NOT_DONE = {
    "recreatePods": "Helm 3's command line has no such flag",
    "disableCRDHooks": "Helm 3's command line has no such flag",
}


class Releases:
    """The engine's calls for releases, on the cluster of the provider's settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._helm = Helm(settings.kubeconfig, settings.context)

    def check(self, request: rpc.CheckRequest) -> rpc.CheckResponse:
        """Fill in name, namespace, timeout and the chart's exact version; refuse what the stand-in cannot
        honour.
        """
        news, olds = plain_map(request.new_inputs), plain_map(request.old_inputs)
        failures = [
            rpc.CheckFailure(key, f"helm.sh/v3:Release has no input {key}")
            for key in sorted(set(news) - _INPUTS)
        ]
        failures += [
            rpc.CheckFailure(key, f"{key} cannot be honoured: {why}")
            for key, why in _NOT_DONE.items()
            if news.get(key)
        ]
        options = news.get("repositoryOpts") or {}
        if isinstance(options, dict):
            failures += [
                rpc.CheckFailure("repositoryOpts", f"repositoryOpts has no key {key}")
                for key in sorted(set(options) - _REPOSITORY)
            ]
        files = news.pop("valueYamlFiles", None)
        for name in ("compat", "resourceNames", "manifest"):
            news.pop(name, None)
        if files:
            news["values"] = merged([*map(content_of, files), news.get("values") or {}])
        if not news.get("name"):
            news["name"] = olds.get("name") or f"{request.name}-{secrets.token_hex(4)}"
        news["namespace"] = news.get("namespace") or self._settings.namespace or "default"
        if not news.get("skipAwait"):
            news.setdefault("timeout", DEFAULT_TIMEOUT)
        news = {key: value for key, value in news.items() if value not in (False, None)}
        if not failures and not has_unknown([news.get("chart"), news.get("version"), options]):
            try:
                news["version"] = str(self._helm.chart(news)["version"])
            except HelmError as problem:
                failures.append(
                    rpc.CheckFailure(
                        "chart", f"{problem}; check the chart name and repository configuration."
                    )
                )
        return rpc.CheckResponse(wrap_map(news, request.new_inputs), failures)

    def diff(self, request: rpc.DiffRequest) -> rpc.DiffResponse:
        """Inputs against inputs; the values and the version also against what Helm runs, and a failed
        release is a difference.
        """
        state, news = plain_map(request.old_state), plain_map(request.new_inputs)
        olds = state.pop("__inputs", {})
        found = changes(olds, news)
        live = changes(
            _without_nulls(state.get("values") or {}), _without_nulls(news.get("values") or {}), "values"
        )
        # what earlier releases left stays: because it is meant to, or, without any value, by Helm's rule
        if news.get("reuseValues") or not news.get("values"):
            live = {path: kind for path, kind in live.items() if kind is not rpc.PropertyDiffKind.DELETE}
        found |= live
        if state.get("version") != news.get("version"):
            found |= {"version": rpc.PropertyDiffKind.UPDATE}
        status = state.get("status") or {}
        if isinstance(status, dict) and status.get("status") not in (None, UNKNOWN, "deployed"):
            found["status"] = rpc.PropertyDiffKind.UPDATE
        return diff_response(found, replacing=["name", "namespace"], ignored=request.ignore_changes)

    def create(self, request: rpc.CreateRequest) -> rpc.CreateResponse:
        release = plain_map(request.properties)
        if request.preview:
            return rpc.CreateResponse("", _preview(request.properties))
        self._settings.reach()
        key = f"{release['namespace']}/{release['name']}"
        try:
            self._helm.install(release)
        except HelmError as failure:
            found = record(self._settings.reach(), release["namespace"], release["name"])
            if found is None or "cannot re-use a name" in str(failure):
                raise ProviderError(f"Helm release {key} was not installed: {failure}") from None
            raise InitFailed(
                f"Helm release {key} was installed, but failed: {failure}",
                key,
                _state(request.properties, release, found),
            ) from None
        return rpc.CreateResponse(key, self._recorded(request.properties, release))

    def update(self, request: rpc.UpdateRequest) -> rpc.UpdateResponse:
        release = plain_map(request.news)
        if request.preview:
            return rpc.UpdateResponse(_preview(request.news))
        cluster = self._settings.reach()
        key = f"{release['namespace']}/{release['name']}"
        try:
            self._helm.upgrade(release)
        except HelmError as failure:
            found = record(cluster, release["namespace"], release["name"])
            before = plain_map(request.olds).get("status") or {}
            if found is None or found.get("version") == before.get("revision"):
                raise ProviderError(f"Helm release {key} was not upgraded: {failure}") from None
            raise InitFailed(
                f"Helm release {key} was upgraded, but failed: {failure}",
                key,
                _state(request.news, release, found),
            ) from None
        return rpc.UpdateResponse(self._recorded(request.news, release))

    def read(self, request: rpc.ReadRequest) -> rpc.ReadResponse:
        """The live release; empty when it is gone. Without inputs it is an import of ``namespace/name``."""
        namespace, _, name = request.resource_id.rpartition("/")
        found = record(self._settings.reach(), namespace or self._settings.namespace, name)
        if found is None:
            return rpc.ReadResponse("")
        inputs = request.inputs
        if not inputs:
            chart = found["chart"]["metadata"]
            imported = {
                "chart": chart["name"],
                "version": chart["version"],
                "values": found.get("config") or {},
            }
            inputs = wrap_map(
                {**imported, "name": name, "namespace": found["namespace"], "timeout": DEFAULT_TIMEOUT}
            )
        return rpc.ReadResponse(request.resource_id, _state(inputs, plain_map(inputs), found), inputs)

    def delete(self, request: rpc.DeleteRequest) -> None:
        self._settings.reach()
        self._helm.uninstall(plain_map(request.properties))

    def _recorded(self, inputs: Properties, release: Json) -> Properties:
        found = record(self._settings.reach(), release["namespace"], release["name"])
        if found is None:
            raise ProviderError(
                f"Helm left no record of the release {release['namespace']}/{release['name']}."
            )
        return _state(inputs, release, found)


def _state(inputs: Properties, release: Json, found: Json) -> Properties:
    """The state of a live release: its inputs, with the version, values and status that Helm recorded;
    secrets stay secret.
    """
    chart = found["chart"]["metadata"]
    outputs = {
        **release,
        "version": chart["version"],
        "values": found.get("config") or {},
        "resourceNames": resource_names(found.get("manifest") or "", found["namespace"]),
        "status": {
            "appVersion": chart.get("appVersion", ""),
            "chart": chart["name"],
            "name": found["name"],
            "namespace": found["namespace"],
            "revision": found["version"],
            "status": found["info"]["status"],
            "version": chart["version"],
        },
    }
    state = marked({key: wrap(value) for key, value in outputs.items()}, inputs)
    # As a whole: the inputs repeat every value, and Helm values are where secrets hide.
    state["__inputs"] = PropertyValue(dict(inputs), is_secret=True)
    return state


def _preview(inputs: Properties) -> Properties:
    return {**inputs, "status": wrap(UNKNOWN), "resourceNames": wrap(UNKNOWN)}


def _without_nulls(values: Any) -> Any:
    """A null asks Helm to drop a chart's default; whether Helm records it depends on the chart."""
    if isinstance(values, dict):
        return {key: _without_nulls(value) for key, value in values.items() if value is not None}
    return values
