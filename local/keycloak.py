"""Keycloak of the platform: the real server from Maven Central, with realms and two users.

The platform owns realms and users, as an organisation would; the client, its mapper and the groups are the
program's (``components/identity.py``).
"""

from __future__ import annotations

import shutil

import httpx
from keycloak import KeycloakAdmin, KeycloakOpenIDConnection

from local import versions
from local.credentials import ADMIN_USER, Credentials
from local.daemons import Daemon
from local.paths import CA_FILE, CACHE, DATA, DOMAIN, KEYCLOAK_URL, NODE_ADDRESS
from local.shell import run

HOME = CACHE / f"keycloak-{versions.KEYCLOAK}"
PORT, MANAGEMENT_PORT = 8180, 9100
_COPY_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"


def provide() -> str:
    """Fetch and prepare the distribution in the cache; returns "cached" or "fetched"."""
    if (HOME / ".ready").exists():
        return "cached"
    downloads = CACHE / "downloads"
    archive = downloads / f"keycloak-quarkus-dist-{versions.KEYCLOAK}.zip"
    remedy = "Check that Maven Central is reachable, then run the command again."
    if not archive.exists():
        run(
            ["mvn", "-q", "-B", _COPY_GOAL, f"-Dartifact=org.keycloak:keycloak-quarkus-dist:{versions.KEYCLOAK}:zip",
             f"-DoutputDirectory={downloads}"],
            log="keycloak-fetch", what="fetch Keycloak", remedy=remedy,
        )  # fmt: skip
    shutil.rmtree(HOME, ignore_errors=True)
    run(["unzip", "-q", archive, "-d", CACHE], log="keycloak-fetch", what="unpack Keycloak")
    # The augmentation of `kc.sh build` is done once here instead of at every start.
    run(
        [HOME / "bin" / "kc.sh", "build", "--db=dev-file", "--health-enabled=true", "--metrics-enabled=false"],
        log="keycloak-fetch", what="prepare Keycloak",
    )  # fmt: skip
    (HOME / ".ready").touch()
    archive.unlink()
    return "fetched"


def daemon(credentials: Credentials) -> Daemon:
    """The server, plain HTTP on the node's address: Traefik in front of it speaks TLS."""
    data = DATA / "keycloak"
    data.mkdir(parents=True, exist_ok=True)
    data.chmod(0o700)  # the database has keys and password hashes
    flags = {
        "db-url": f"jdbc:h2:file:{data}/keycloakdb;NON_KEYWORDS=VALUE;DB_CLOSE_ON_EXIT=FALSE",
        "http-enabled": "true",
        "http-host": NODE_ADDRESS,
        "http-port": PORT,
        "hostname": KEYCLOAK_URL,
        "proxy-headers": "xforwarded",
        "http-management-port": MANAGEMENT_PORT,
        "log-level": "warn",
    }
    return Daemon(
        "keycloak",
        [HOME / "bin" / "kc.sh", "start", "--optimized", *(f"--{k}={v}" for k, v in flags.items())],
        healthy=_ready,
        env={
            "KC_BOOTSTRAP_ADMIN_USERNAME": credentials.keycloak_admin_username,
            "KC_BOOTSTRAP_ADMIN_PASSWORD": credentials.keycloak_admin,
            "JAVA_OPTS_KC_HEAP": "-Xms128m -Xmx512m",
            "JAVA_OPTS_APPEND": "-XX:TieredStopAtLevel=1",  # start-up counts here, peak speed does not
        },
        ready_within=180,
    )


def _ready() -> bool:
    url = f"http://{NODE_ADDRESS}:{MANAGEMENT_PORT}/health/ready"
    return httpx.get(url, timeout=3, trust_env=False).status_code == 200


def admin(credentials: Credentials, realm: str = "master") -> KeycloakAdmin:
    """An admin client through the public URL, TLS verified by the local CA; ``realm`` is the one that it manages."""
    connection = KeycloakOpenIDConnection(
        server_url=KEYCLOAK_URL,
        username=credentials.keycloak_admin_username,
        password=credentials.keycloak_admin,
        realm_name=realm,
        user_realm_name="master",
        client_id="admin-cli",
        verify=str(CA_FILE),
    )
    return KeycloakAdmin(connection=connection)


def ensure_realm(credentials: Credentials, realm: str) -> None:
    """A realm with the two users and their generated passwords; what exists stays as it is."""
    master = admin(credentials)
    if realm not in {known["realm"] for known in master.get_realms()}:
        master.create_realm(
            {"realm": realm, "enabled": True, "displayName": "Thinkube", "sslRequired": "all"}
        )
    keycloak = admin(credentials, realm)
    for name, password in credentials.users.items():
        if keycloak.get_user_id(name) is None:
            keycloak.create_user(
                {
                    "username": name,
                    "enabled": True,
                    "email": f"{name}@{DOMAIN}",
                    "emailVerified": True,
                    "firstName": name.capitalize(),
                    "lastName": "Admin" if name == ADMIN_USER else "Scientist",
                    # with the user and not after it: a killed run leaves nobody without a password
                    "credentials": [{"type": "password", "value": password, "temporary": False}],
                }
            )


def delete_realm(credentials: Credentials, realm: str) -> None:
    """Remove a realm with all that is in it, if it is there."""
    master = admin(credentials)
    if realm in {known["realm"] for known in master.get_realms()}:
        master.delete_realm(realm)
