"""The cluster's API as JSON: one GET, with the admin's kubeconfig.

Owns the connection (the stack's `kubernetes:` keys, else the kubeconfig's current context) and the wording of its
faults. Answers are the API's own objects as dicts: checks look at a handful of fields, and tests can write them down.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from typing import Any, Protocol

import yaml
from kubernetes import client, config
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError

from admin.errors import AdminError
from admin.verify.model import Failed

Object = dict[str, Any]
TIMEOUT = 10.0
"""Seconds for one question."""


class Refused(Exception):
    """The API server answered with an error that is not "not found"; `status` as in HTTP."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Reader(Protocol):
    """What checks ask; tests put a dict in its place."""

    def get(self, path: str, **query: str) -> Any:
        """The JSON at `path`; None if it is not there. Raises Refused, or OSError without an answer."""


class Cluster:
    """The real one."""

    def __init__(self, api: client.ApiClient) -> None:
        """`api`: an authenticated client."""
        self._api = api

    @classmethod
    def connect(cls, keys: Mapping[str, str], kubeconfig: str = "") -> Cluster:
        """`keys`: the stack's configuration; `kubeconfig`: content of `kubernetes:kubeconfig`, or a file's name.

        Raises AdminError if there is no kubeconfig, or not such a context in it.
        """
        context = keys.get("kubernetes:context") or None
        # the library looks at the variable once, when it is imported
        kubeconfig = kubeconfig or os.environ.get("KUBECONFIG", "")
        settings = client.Configuration()
        settings.retries = False  # a question is asked once: the check says what stood in the way
        try:
            if kubeconfig and "\n" in kubeconfig:
                api = config.new_client_from_config_dict(
                    yaml.safe_load(kubeconfig), context=context, client_configuration=settings
                )
            else:
                api = config.new_client_from_config(
                    kubeconfig or None, context=context, client_configuration=settings
                )
        except (ConfigException, yaml.YAMLError, OSError) as error:
            raise AdminError(
                f"No way to the cluster ({error}): set KUBECONFIG, or run `pulumi config set kubernetes:context NAME`."
            ) from error
        return cls(api)

    def get(self, path: str, **query: str) -> Any:
        """The JSON at `path`; None if it is not there."""
        request = self._api.param_serialize(
            "GET",
            path,
            query_params=list(query.items()),
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
        )
        try:
            response = self._api.call_api(*request, _request_timeout=TIMEOUT)
            text = response.read()
        except HTTPError as error:
            raise OSError(str(error)) from error
        if response.status == 404:
            return None
        if response.status != 200:
            raise Refused(response.status, _message(text))
        return json.loads(text)


def namespaced(namespace: str, kind: str, name: str = "", api: str = "api/v1") -> str:
    """Path of an object, or of a list without `name`: `namespaced("jupyterhub", "secrets", "hub")`."""
    return f"/{api}/namespaces/{namespace}/{kind}" + (f"/{name}" if name else "")


def found(cluster: Reader, path: str, what: str, remedy: str, **query: str) -> Any:
    """The object (or list) at `path`. Raises Failed naming `what` if it is not there or may not be seen."""
    try:
        answer = cluster.get(path, **query)
    except Refused as error:
        raise Failed(
            f"The API server does not show {what} (HTTP {error.status}: {error}).",
            "Use a kubeconfig of somebody who may read the namespace and its Secrets.",
        ) from error
    except OSError as error:
        raise Failed(f"No answer from the API server: {error}.", "See V-API-01.") from error
    if answer is None:
        raise Failed(f"There is no {what}.", remedy)
    return answer


def secret_value(secret: Object, key: str) -> str:
    """A Secret's value as text; "" without the key."""
    return base64.b64decode((secret.get("data") or {}).get(key, "")).decode()


def _message(text: bytes) -> str:
    try:
        return str(json.loads(text)["message"])[:300]
    except (ValueError, TypeError, KeyError):
        return text.decode(errors="replace")[:300]
