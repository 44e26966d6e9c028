"""The hub's client in Keycloak, with the groups claim, the groups, and the Secret that the hub reads.

Owns the client's rights and addresses. Leaves alone: users, passwords, login pages, and what is to be used as it
is (existing.py): the realm, and by config client and groups. The client's secret goes into a Kubernetes Secret and
nowhere else.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from urllib.parse import urlencode

import pulumi
import pulumi_keycloak as keycloak
from pulumi_keycloak import openid
from pulumi_kubernetes.core.v1 import Secret

from components import cluster
from components.existing import check_groups, check_realm, existing_client
from components.settings.models import Identity

OIDC_SECRET = "jupyterhub-oidc-secret"  # noqa: S105 (a name, not a secret)
OIDC_SECRET_KEY = "client_secret"  # noqa: S105 (a name, not a secret)


@dataclass(frozen=True)
class HubIdentityArgs:
    """Inputs of HubIdentity."""

    cluster: cluster.Cluster
    namespace: pulumi.Output[str]
    keycloak_url: str
    """without trailing slash"""
    admin_username: str
    admin_password: pulumi.Output[str]
    hub_url: str
    """without trailing slash"""
    identity: Identity


@dataclass(frozen=True)
class OidcUrls:
    """Keycloak's addresses of one realm, and where a logout leads."""

    authorize: str
    token: str
    userinfo: str
    logout: str


def oidc_urls(keycloak_url: str, realm: str, client_id: str, hub_url: str) -> OidcUrls:
    """Return the addresses (fixed by Keycloak: <url>/realms/<realm>/protocol/openid-connect/...)."""
    base = f"{keycloak_url}/realms/{realm}/protocol/openid-connect"
    back = urlencode({"client_id": client_id, "post_logout_redirect_uri": logout_landing(hub_url)})
    return OidcUrls(f"{base}/auth", f"{base}/token", f"{base}/userinfo", f"{base}/logout?{back}")


def redirect_uri(hub_url: str) -> str:
    """The one address that Keycloak may send a login to."""
    return f"{hub_url}/hub/oauth_callback"


def logout_landing(hub_url: str) -> str:
    """The one address that Keycloak may send a logout to."""
    return f"{hub_url}/hub/login"


def digest(secret: str) -> str:
    """A short fingerprint of a long random secret, to see a rotation by; it does not give the secret away."""
    return hashlib.sha256(secret.encode()).hexdigest()[:16]


class HubIdentity(pulumi.ComponentResource):
    """Confidential client (standard flow with PKCE only), groups claim, groups, and the client's Secret."""

    client_id: str
    secret_name: pulumi.Output[str]
    """Secret in the hub's namespace; its key is OIDC_SECRET_KEY"""
    secret_digest: pulumi.Output[str]
    """changes when the client's secret does; not a secret"""
    urls: OidcUrls

    def __init__(self, name: str, args: HubIdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Make client, mapper, groups and Secret, and the realm if that is wanted."""
        super().__init__("thinkube:identity:HubIdentity", name, None, opts)
        identity = args.identity
        provider = keycloak.Provider(
            f"{name}-keycloak",
            url=args.keycloak_url,
            client_id="admin-cli",
            username=args.admin_username,
            password=args.admin_password,
            root_ca_certificate=identity.ca_bundle or None,
            # a busy Keycloak takes longer than the 5 s that the SDK sets
            client_timeout=60,
            opts=pulumi.ResourceOptions(parent=self),
        )
        child = pulumi.ResourceOptions(parent=self, provider=provider)
        look = pulumi.InvokeOptions(parent=self, provider=provider)
        realm: pulumi.Input[str] = identity.realm
        if identity.create_realm:
            realm = keycloak.Realm(f"{name}-realm", realm=identity.realm, enabled=True, opts=child).realm
        else:
            check_realm(identity, look)
            check_groups(identity, look)
        for group in identity.made_groups:
            keycloak.Group(f"{name}-group-{group}", realm_id=realm, name=group, opts=child)
        if identity.create_client:
            client_secret = self._client(name, args, realm, child)
        else:
            client_secret = existing_client(identity, redirect_uri(args.hub_url), look).secret
        secret: pulumi.Output[str] = pulumi.Output.secret(client_secret)
        self.client_id = identity.client_id
        self.secret_digest = pulumi.Output.unsecret(secret.apply(digest))
        self.secret_name = Secret(
            f"{name}-secret",
            metadata={"name": OIDC_SECRET, "namespace": args.namespace},
            type="Opaque",
            data={OIDC_SECRET_KEY: secret.apply(lambda value: base64.b64encode(value.encode()).decode())},
            opts=cluster.own(self, args.cluster),
        ).metadata.name
        self.urls = oidc_urls(args.keycloak_url, identity.realm, identity.client_id, args.hub_url)
        self.register_outputs({"client_id": self.client_id, "secret_name": self.secret_name})

    def _client(
        self, name: str, args: HubIdentityArgs, realm: pulumi.Input[str], child: pulumi.ResourceOptions
    ) -> pulumi.Output[str]:
        """Make the client and its mapper; returns the client's secret."""
        identity = args.identity
        client = openid.Client(
            f"{name}-client",
            realm_id=realm,
            client_id=identity.client_id,
            name="JupyterHub",
            enabled=True,
            access_type="CONFIDENTIAL",
            standard_flow_enabled=True,
            pkce_code_challenge_method="S256",
            implicit_flow_enabled=False,
            direct_access_grants_enabled=False,
            service_accounts_enabled=False,
            # the hub's tokens say who somebody is; they carry none of that person's rights in the realm
            full_scope_allowed=False,
            valid_redirect_uris=[redirect_uri(args.hub_url)],
            valid_post_logout_redirect_uris=[logout_landing(args.hub_url)],
            web_origins=[],
            opts=child,
        )
        openid.GroupMembershipProtocolMapper(
            f"{name}-groups",
            realm_id=realm,
            client_id=client.id,
            name=identity.groups_mapper,
            claim_name=identity.groups_claim,
            # With bare names, whoever may add a group below another one could call it like the admins' group.
            full_path=identity.groups_full_path,
            opts=child,
        )
        return client.client_secret
