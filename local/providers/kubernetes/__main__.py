"""Entry point of the plugin executable."""

from local.providers.kubernetes.provider import KubernetesProvider
from local.providers.serve import main

main(KubernetesProvider(), "4.34.2")
