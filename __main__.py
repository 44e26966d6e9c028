"""Thinkube JupyterHub: settings, components in dependency order, exports. Only wires."""

from pathlib import Path

import pulumi

from components.cluster import connect
from components.examples import ExamplesSync, ExamplesSyncArgs
from components.hub import JupyterHub, JupyterHubArgs
from components.identity import HubIdentity, HubIdentityArgs
from components.images import NotebookImages, NotebookImagesArgs
from components.preflight import preflight
from components.profiles import ProfileCode, ProfileCodeArgs
from components.settings import load_secrets, load_settings
from components.settings.models import Image
from components.storage import SeaweedVolumes, SeaweedVolumesArgs
from components.workspace import Workspace, WorkspaceArgs

# Settings and surroundings: everything that can be wrong with them is said here, before anything is made
config = pulumi.Config()
settings = load_settings(config)
secrets = load_secrets(config, settings)
preflight(settings, config)
hub_url = f"https://{settings.hub_host}"
cluster = connect("cluster")

# Components, each after what it needs; paths are relative, so that state does not depend on the checkout's
# place
workspace = Workspace(
    "workspace",
    WorkspaceArgs(
        cluster=cluster,
        namespace=settings.namespace,
        create_namespace=settings.create_namespace,
        pod_security=settings.hub.pod_security,
        registry=settings.registry,
        registry_username=settings.harbor_robot_username,
        registry_password=secrets.harbor_robot_token,
    ),
)
volumes = SeaweedVolumes(
    "volumes",
    SeaweedVolumesArgs(
        cluster=cluster,
        namespace=workspace.namespace,
        stack=pulumi.get_stack(),
        storage=settings.storage,
    ),
)
images = NotebookImages(
    "images",
    NotebookImagesArgs(
        cluster=cluster,
        namespace=workspace.namespace,
        pull_secret=workspace.pull_secret,
        folder=Path("dockerfiles"),
        images=settings.images,
        registry=settings.registry,
        project=settings.harbor_project,
        registry_username=settings.harbor_robot_username,
        registry_password=secrets.harbor_robot_token,
        owner=settings.system_username,
        control_url=settings.control.url,
        control_token=secrets.thinkube_control_token,
    ),
)
identity = HubIdentity(
    "identity",
    HubIdentityArgs(
        cluster=cluster,
        namespace=workspace.namespace,
        keycloak_url=settings.keycloak_url,
        admin_username=settings.keycloak_admin_username,
        admin_password=secrets.keycloak_admin_password,
        hub_url=hub_url,
        identity=settings.identity,
    ),
)
profiles = ProfileCode(
    "profiles",
    ProfileCodeArgs(cluster=cluster, namespace=workspace.namespace, folder=Path("notebooks-profile")),
)
hub = JupyterHub(
    "hub",
    JupyterHubArgs(
        cluster=cluster,
        namespace=workspace.namespace,
        settings=settings,
        tls_private_key=secrets.tls_private_key,
        claims=volumes.claims,
        pull_secret=workspace.pull_secret,
        profile_config_map=profiles.config_map,
        profile_files=profiles.files,
        oidc_secret=identity.secret_name,
        oidc_digest=identity.secret_digest,
        urls=identity.urls,
        catalogue=images.catalogue,
        default_image=Image(
            name=f"{images.default.registry}/{images.default.repository}", tag=images.default.tag
        ),
    ),
)
examples = ExamplesSync(
    "examples",
    ExamplesSyncArgs(
        cluster=cluster,
        namespace=workspace.namespace,
        claim=volumes.claims["examples"],
        examples=settings.examples,
        ca_bundle=settings.examples_ca_bundle,
        token=secrets.examples_token,
        image=images.default_reference,
        pull_secret=workspace.pull_secret,
        folder=Path("examples-sync"),
    ),
)

# What people and scripts ask for
pulumi.export("url", hub.url)
pulumi.export("namespace", workspace.namespace)
pulumi.export("claims", volumes.claims)
pulumi.export("images", images.references)
pulumi.export("release_status", hub.status)
