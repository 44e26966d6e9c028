"""Login through Keycloak: whom the hub lets in, for how long, and what ends at logout.

Owns login, refresh and logout. Leaves alone the rules themselves (`identity`) and what may be started
(`choices`). Keycloak away: whoever is in stays in and keeps the servers that run, and nothing new starts.

Of oauthenticator 17.4 and JupyterHub 5.5 it uses: `httpfetch`, `authenticate`, `refresh_user`,
`pre_spawn_start`, and the steps that those of GenericOAuthenticator take.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from jupyterhub import orm
from jupyterhub.apihandlers.users import ActivityAPIHandler
from jupyterhub.utils import maybe_future, new_token
from oauthenticator.generic import GenericOAuthenticator
from oauthenticator.oauth2 import OAuthLoginHandler, OAuthLogoutHandler
from tornado import escape, web
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.httputil import url_concat
from traitlets import Float, Unicode

from .identity import login_refusal, not_allowed, provider_away, refresh_refusal, session_over

_OWN_ANSWERS = (400, 401, 403)
"""How Keycloak itself refuses; with others (404, 429, 5xx) an ingress says that it is not there."""


class ProviderAway(web.HTTPError):
    """Keycloak gave no answer, or its ingress answered in its place."""

    def __init__(self, service: str) -> None:
        super().__init__(HTTPStatus.SERVICE_UNAVAILABLE, "%s", provider_away(service))
        self.jupyterhub_message = provider_away(service)


class LoginHandler(OAuthLoginHandler):  # type: ignore[misc]
    """Sends nobody to a Keycloak that is not there: its ingress's error page would not say what is wrong."""

    async def get(self) -> None:
        """Redirect to Keycloak's login page. Raises ProviderAway."""
        if not await self.authenticator.provider_answers():
            raise ProviderAway(self.authenticator.login_service)
        super().get()


class LogoutHandler(OAuthLogoutHandler):  # type: ignore[misc]
    """Ends the hub's session for good, then Keycloak's; servers stay (`shutdown_on_logout` is off)."""

    _id_token: str | None = None

    async def handle_logout(self) -> None:
        """Called once JupyterHub has told the browser to drop its cookies: makes copies of them worthless."""
        await super().handle_logout()
        # By cookie: `current_user` is None when Keycloak's session ended before, and that cookie would come to
        # life again with the user's next login elsewhere.
        user = self.get_current_user_cookie()
        if user is None:
            return
        self.clear_login_cookie()
        state = await user.get_auth_state()
        self._id_token = state.get("id_token") if isinstance(state, dict) else None
        user.orm_user.cookie_id = new_token()
        for token in self.db.query(orm.APIToken).filter(
            orm.APIToken.user_id == user.id, orm.APIToken.session_id.isnot(None)
        ):
            self.db.delete(token)
        self.db.commit()

    async def render_logout_page(self) -> None:
        """On to Keycloak, which asks nothing and sends the browser back; or say that only half of it worked."""
        authenticator = self.authenticator
        if not await authenticator.provider_answers():
            self.set_status(HTTPStatus.SERVICE_UNAVAILABLE)
            self.finish(
                await self.render_template(
                    "error.html",
                    status_code=HTTPStatus.SERVICE_UNAVAILABLE.value,
                    status_message="Logged out of JupyterHub only",
                    message=(
                        f"You are logged out of JupyterHub. {authenticator.login_service} does not answer, and your "
                        "login there may still be good: close all windows of this browser, or open this page again "
                        "in a minute."
                    ),
                )
            )
            return
        url = authenticator.logout_redirect_url
        self.redirect(url_concat(url, {"id_token_hint": self._id_token}) if self._id_token else url)


class KeycloakAuthenticator(GenericOAuthenticator):  # type: ignore[misc]
    """GenericOAuthenticator, whose configuration section it reads, with a memory for who a name belongs to."""

    login_handler = LoginHandler
    logout_handler = LogoutHandler

    verify_user = Unicode(
        "",
        config=True,
        help="User without a login whose server may be started by token; nobody logs in as it.",
    )
    deadline = Float(5, config=True, help="Seconds that one question to Keycloak may take.")

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._unconfirmed: dict[str, tuple[int, str]] = {}
        """Users whose last refresh failed, with the status and the sentence that refuse their start."""

    async def httpfetch(self, url: str, label: str = "asking Keycloak", **arguments: Any) -> Any:
        """Ask Keycloak, within `deadline` seconds. Raises ProviderAway, or HTTPClientError 400, 401, 403: its own
        answers.
        """
        bounds = {"connect_timeout": self.deadline, "request_timeout": self.deadline}
        try:
            return await super().httpfetch(url, label, **bounds | arguments)
        except HTTPClientError as error:
            if error.code in _OWN_ANSWERS:
                raise
            self.log.warning("%s: %s: %s", self.login_service, label, error)
        except (OSError, ValueError) as error:  # ValueError: no JSON, a page of something in front of it
            self.log.warning("%s: %s: %s", self.login_service, label, error)
        raise ProviderAway(self.login_service)

    async def provider_answers(self) -> bool:
        """Whether Keycloak is there: it refuses a question about nobody."""
        bounds = {"connect_timeout": self.deadline, "request_timeout": self.deadline}
        request = HTTPRequest(self.userdata_url, **{**self.http_request_kwargs, **bounds})
        try:
            answer = await self.http_client.fetch(request, raise_error=False)
        except (OSError, HTTPClientError):  # also where there is no answer at all
            return False
        return answer.code in _OWN_ANSWERS

    async def authenticate(self, handler: Any, data: Any = None, **arguments: Any) -> Any:
        """A login: refused where the name is another account's, before anything of that name is touched."""
        try:
            model = await super().authenticate(handler, data, **arguments)
        except HTTPClientError as error:
            # a code that was used before, or is too old; a client secret that was changed
            self.log.warning("%s refused a login: %s", self.login_service, error)
            unconfirmed = f"{self.login_service} did not confirm this login: log in again."
            raise _refused(HTTPStatus.FORBIDDEN, unconfirmed) from None
        name = model["name"]
        known = handler.find_user(name)
        stored = await known.get_auth_state() if known else None
        if known and known.encrypted_auth_state is not None and stored is None:
            self.log.warning(
                "%s: what was stored at the last login cannot be read, this login claims the name", name
            )
        if sentence := login_refusal(name, model["auth_state"], stored, self.verify_user):
            self.log.warning("Login refused: %s", sentence)
            refusal = _refused(HTTPStatus.FORBIDDEN, sentence)
            # the browser is logged in at Keycloak: without this, each further try would end here at once
            logout = escape.xhtml_escape(self.logout_url(handler.hub.base_url))
            refusal.jupyterhub_html_message = (  # type: ignore[attr-defined]
                f'{escape.xhtml_escape(sentence)} <a href="{logout}">Log in as somebody else</a>'
            )
            raise refusal
        self._unconfirmed.pop(name, None)
        return model

    async def refresh_user(self, user: Any, handler: Any = None, **_: Any) -> Any:
        """Ask Keycloak anew about somebody: True as it was, a model with new groups, or False: log in again.

        JupyterHub asks on any page every `auth_refresh_age` seconds, and before each start. The former must
        not fail with Keycloak, so that it keeps what is known; the latter is refused here and, where the same
        request asked before, in `pre_spawn_start`.
        """
        if isinstance(handler, ActivityAPIHandler) and handler.get_token():
            # A server that reports that its kernels work. It may outlive its user's session (after a logout, over
            # night), and must not look idle then. It is no sign of the user: the next page asks as if it had not been.
            asyncio.get_running_loop().call_soon(setattr, user, "_auth_refreshed", user._auth_refreshed)
            return True
        try:
            answer = await self._ask_again(user, handler)
        except ProviderAway as away:
            answer = True, away.jupyterhub_message, HTTPStatus.SERVICE_UNAVAILABLE
        model, sentence, status = answer
        if sentence is None:
            self._unconfirmed.pop(user.name, None)
            return model
        self._unconfirmed[user.name] = (status, sentence)
        self.log.warning("%s: %s", user.name, sentence)
        if _before_a_start(handler):
            raise _refused(status, sentence)
        return model

    async def pre_spawn_start(self, user: Any, spawner: Any) -> None:
        """The last word before each start, by whatever road."""
        if refusal := self._unconfirmed.get(user.name):
            raise _refused(*refusal)

    async def _ask_again(self, user: Any, handler: Any) -> tuple[Any, str | None, int]:
        """The answer for JupyterHub, why a start is refused (None: it is not), and that refusal's status.

        Raises ProviderAway.
        """
        refused = HTTPStatus.FORBIDDEN
        stored = await user.get_auth_state()
        if not stored:
            if self.verify_user and user.name == self.verify_user and user.encrypted_auth_state is None:
                return True, None, HTTPStatus.OK
            return False, session_over(user.name), refused
        model = await self._model_of(stored, handler)
        if model is None:
            return False, session_over(user.name), refused
        if sentence := refresh_refusal(user.name, model, stored, self.verify_user):
            return False, sentence, refused
        # JupyterHub asks these two at login only; a group that was taken away must count now
        if not await self._may_use(user.name, model):
            return False, not_allowed(user.name), refused
        return model, None, HTTPStatus.OK

    async def _may_use(self, name: str, model: dict[str, Any]) -> bool:
        unblocked = await maybe_future(self.check_blocked_users(name, model))
        return bool(unblocked and await maybe_future(self.check_allowed(name, model)))

    async def _model_of(self, stored: dict[str, Any], handler: Any) -> dict[str, Any] | None:
        """What Keycloak says now, by the stored tokens; None if it takes neither of them. Raises ProviderAway."""
        model: dict[str, Any]
        tokens = stored.get("token_response") or {}
        try:
            if {"access_token", "token_type"} <= set(tokens):
                model = await self._token_to_auth_model(tokens)
                return model
        except HTTPClientError as error:
            self.log.debug("The access token is not taken: %s", error)
        refresh = stored.get("refresh_token")
        if not refresh:
            return None
        try:
            fresh = await self.get_token_info(handler, self.build_refresh_token_request_params(refresh))
            # what a refresh does not renew stays good
            model = await self._token_to_auth_model(tokens | fresh)
        except (HTTPClientError, web.HTTPError) as error:
            if isinstance(error, ProviderAway):
                raise
            self.log.info("The refresh token is not taken: %s", error)
            return None
        return model


def _before_a_start(handler: Any) -> bool:
    """Whether the request's own user is settled: JupyterHub refreshes that one first, then the one whose server
    is to start.
    """
    if handler is None:
        return True
    try:
        _ = handler.current_user
    except RuntimeError:
        return False
    return True


def _refused(status: int, sentence: str) -> web.HTTPError:
    error = web.HTTPError(int(status), "%s", sentence)
    # what JupyterHub shows to people, in place of the error's technical text
    error.jupyterhub_message = sentence  # type: ignore[attr-defined]
    return error
