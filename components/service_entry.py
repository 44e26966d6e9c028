"""The hub's entry on the platform's dashboard: the ConfigMap that thinkube-control lists services by.

Owns `thinkube-service-config`. Leaves alone: when it is read (thinkube-control looks every five minutes) and what is
made of it. Its contract: discovery.py, health_checker.py and k8s_manager.py of thinkube-control 77f207f.
"""

from __future__ import annotations

from typing import Any

import pulumi
import yaml
from pulumi_kubernetes.core.v1 import ConfigMap

from components import cluster
from components.settings.models import Settings

SERVICE_CONFIG = "thinkube-service-config"
SERVICE = "jupyterhub"
# Of core, optional and user_app (any other word ends the discovery of all services): the installer's own, which the
# dashboard does not switch off. Its switch scales a Deployment named like the service, and the hub's is named "hub".
SERVICE_TYPE = "core"


def service_entry(settings: Settings) -> dict[str, Any]:
    """Return the content of `service.yaml`."""
    url = f"https://{settings.hub_host}"
    # names of the platform's own parts, for the picture of what needs what; nothing is switched by them
    needs = ["keycloak", "harbor", *(["seaweedfs"] if settings.storage.backend == "seaweedfs-csi" else [])]
    return {
        "service": {
            "name": SERVICE,
            "display_name": "JupyterHub",
            "description": "Notebooks for the team, with the images and sizes that are free now",
            "type": SERVICE_TYPE,
            "category": "ai",
            "icon": "/icons/tk_ai.svg",
            "endpoints": [
                {
                    "name": "web",
                    "type": "http",
                    "url": url,
                    # by its public address: the hub's network policy lets thinkube-control in nowhere else
                    "health_url": f"{url}/hub/health",
                    "description": "Log in and start a notebook",
                    "primary": True,
                }
            ],
            "dependencies": needs,
            "scaling": {
                "resource_type": "deployment",
                "resource_name": "hub",  # the chart's name for it
                "namespace": settings.namespace,
                "min_replicas": 1,
                "can_disable": False,
            },
        }
    }


def service_config_map(
    name: str,
    settings: Settings,
    namespace: pulumi.Output[str],
    provider: cluster.Cluster,
    parent: pulumi.Resource,
    after: pulumi.Resource,
) -> ConfigMap:
    """Make the ConfigMap, once the hub is there to be found."""
    return ConfigMap(
        f"{name}-service-config",
        metadata={
            "name": SERVICE_CONFIG,
            "namespace": namespace,
            "labels": {
                "thinkube.io/managed": "true",
                "thinkube.io/service-type": SERVICE_TYPE,
                "thinkube.io/service-name": SERVICE,
            },
        },
        data={"service.yaml": yaml.safe_dump(service_entry(settings), sort_keys=False)},
        opts=cluster.own(parent, provider, depends_on=[after]),
    )
