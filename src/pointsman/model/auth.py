"""How an endpoint shows who is calling: bearer, basic, an API key, or OAuth 2.0 client credentials."""

from __future__ import annotations

import asyncio
import base64
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote_plus

from pointsman.base.config import Choice, ListOf, Nested, Secret, Text, key
from pointsman.base.errors import InvalidReply, Misfit, ModelError, ModelRefused, ModelTimeout
from pointsman.base.secret import Hidden

if TYPE_CHECKING:
    from pointsman.model.endpoint import Endpoint

__all__ = ["ApiKeyKeys", "Auth", "AuthKeys", "BasicKeys", "OAuth2Keys", "auth_of"]

LEEWAY: Final = 30.0
"""Seconds before its end at which a token is replaced, at most a tenth of its life."""

LONGEST: Final = 10.0
"""Seconds that fetching a token may take; it serves all who wait, however little time each of them has."""

KEPT: Final = 8
"""Tokens that are known as secrets, the newest ones."""

MOST_TOKEN_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, repr=False)
class BasicKeys:
    """A user and a password."""

    user: str = key(Text(), "The user's name.", example="scorer", step=2)
    password: Hidden = key(Secret(), "The password.", example='"${SCORER_PASSWORD}"', step=2)


@dataclass(frozen=True, slots=True, repr=False)
class ApiKeyKeys:
    """A key in a header of its own."""

    header: str = key(
        Text(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"),
        "The header that carries it.",
        default="X-API-Key",
        example="X-API-Key",
        step=2,
    )
    value: Hidden = key(Secret(), "The key.", example='"${MODEL_KEY}"', step=2)


@dataclass(frozen=True, slots=True, repr=False)
class OAuth2Keys:
    """Client credentials (RFC 6749, section 4.4): a token is fetched, kept, and replaced before it ends."""

    token_url: str = key(
        Text(r"https?://.+"), "Where tokens are given.", example="https://login.example/token", step=2
    )
    client_id: str = key(Text(), "The client's id.", example="pointsman", step=2)
    client_secret: Hidden = key(Secret(), "The client's secret.", example='"${CLIENT_SECRET}"', step=2)
    scopes: Sequence[str] = key(ListOf(Text()), "What is asked for.", default=(), example="[score]", step=2)
    audience: str | None = key(
        Text(), "Whom the token is for, where the server asks.", default=None, example="models", step=2
    )
    send: str = key(
        Choice(("basic", "body")),
        "Where the id and the secret go: the Authorization header or the request's body.",
        default="basic",
        example="body",
        step=2,
    )


@dataclass(frozen=True, slots=True, repr=False)
class AuthKeys:
    """One way to show who is calling; secrets come from `${NAME}` or `${file:PATH}`."""

    bearer: Hidden | None = key(Secret(), "A token.", default=None, example='"${MODEL_TOKEN}"', step=2)
    basic: BasicKeys | None = key(
        Nested(BasicKeys),
        "A user and a password.",
        default=None,
        example='{user: scorer, password: "${SCORER_PASSWORD}"}',
        step=2,
    )
    api_key: ApiKeyKeys | None = key(
        Nested(ApiKeyKeys),
        "A key in a header.",
        default=None,
        example='{header: X-API-Key, value: "${MODEL_KEY}"}',
        step=2,
    )
    oauth2: OAuth2Keys | None = key(
        Nested(OAuth2Keys),
        "OAuth 2.0 client credentials.",
        default=None,
        example='{token_url: "https://login.example/token", client_id: us, client_secret: "${SECRET}"}',
        step=2,
    )


class Auth(Protocol):
    """Who is calling, as headers (metadata, with gRPC)."""

    async def headers(self, endpoint: Endpoint) -> Mapping[str, str]:
        """What a request carries; may fetch a token, and raises a ModelError where there is none."""

    def refused(self, sent: Mapping[str, str]) -> None:
        """The server did not accept `sent`, which `headers` gave: do not give the same again."""

    def secrets(self) -> Sequence[str]:
        """What must not be seen in a message."""


def auth_of(keys: AuthKeys | None) -> Auth:
    """What the keys ask for.

    Raises:
        Misfit: They ask for nothing, or for several things.
    """
    if keys is None:
        return _Fixed({}, ())
    given = [name for name in ("bearer", "basic", "api_key", "oauth2") if getattr(keys, name) is not None]
    if len(given) != 1:
        found = f"auth has {' and '.join(given)}" if given else "auth names no way"
        raise Misfit("E442", found, "give one of bearer, basic, api_key, oauth2", ("auth",))
    if keys.oauth2 is not None:
        return _ClientCredentials(keys.oauth2)
    if keys.basic is not None:
        pair = f"{keys.basic.user}:{keys.basic.password}".encode()
        value = base64.b64encode(pair).decode("ascii")
        return _fixed("basic", "Authorization", f"Basic {value}", (keys.basic.password, value))
    if keys.api_key is not None:
        return _fixed("api_key", keys.api_key.header, keys.api_key.value, (keys.api_key.value,))
    token = (keys.bearer or "").strip()
    return _fixed("bearer", "Authorization", f"Bearer {token}", (token,))


def _fixed(way: str, header: str, value: str, secrets: Sequence[str]) -> Auth:
    value = value.strip()  # a secret from a file ends with a line break
    if not value.isascii() or not value.isprintable():
        raise Misfit(
            "E442",
            f"the secret of {way} holds a character that no header can carry",
            "look for a line break or a letter outside ASCII in it",
            ("auth", way),
        )
    return _Fixed({header: value}, secrets)


class _Fixed:
    """The same headers always."""

    def __init__(self, headers: Mapping[str, str], secrets: Sequence[str]) -> None:
        self._headers = headers
        self._secrets = tuple(secrets)

    async def headers(self, endpoint: Endpoint) -> Mapping[str, str]:  # noqa: ARG002  # the role's signature
        """The headers."""
        return self._headers

    def refused(self, sent: Mapping[str, str]) -> None:
        """Nothing else to give."""

    def secrets(self) -> Sequence[str]:
        """The secret in its forms."""
        return self._secrets


class _ClientCredentials:
    """A token that is fetched once for all who wait, kept, and replaced before it ends."""

    def __init__(self, keys: OAuth2Keys) -> None:
        self._keys = keys
        self._token = ""
        self._given: deque[str] = deque(maxlen=KEPT)
        self._until = 0.0
        self._fetch: asyncio.Task[None] | None = None

    async def headers(self, endpoint: Endpoint) -> Mapping[str, str]:
        """The token, fetched where there is none or where it is about to end."""
        loop = asyncio.get_running_loop()
        joined = False
        while not self._token or loop.time() >= self._until:
            started = self._fetch is None or self._fetch.done()
            if self._fetch is None or started:
                self._fetch = loop.create_task(self._renew(endpoint))
                self._fetch.add_done_callback(_seen)
            try:
                await asyncio.shield(self._fetch)  # one caller that gives up leaves it to the others
            except ModelError:
                if started or joined:
                    raise
                joined = True  # it began before us, perhaps at a worse time: we try once more
        return {"Authorization": f"Bearer {self._token}"}

    def refused(self, sent: Mapping[str, str]) -> None:
        """Forgets the token if it is still the one that was sent."""
        if sent.get("Authorization") == f"Bearer {self._token}":
            self._token = ""

    def secrets(self) -> Sequence[str]:
        """The client's secret in its forms, and the last tokens, as a late reply may tell an old one."""
        secret = self._keys.client_secret
        return [text for text in (secret, quote_plus(secret), self._basic(), *self._given) if text]

    def _basic(self) -> str:
        pair = f"{quote_plus(self._keys.client_id)}:{quote_plus(self._keys.client_secret)}"
        return base64.b64encode(pair.encode()).decode("ascii")

    async def _renew(self, endpoint: Endpoint) -> None:
        from pointsman.model.rest import elsewhere, json_of

        keys, headers = self._keys, {"Accept": "application/json"}
        form = {"grant_type": "client_credentials"}
        if keys.scopes:
            form["scope"] = " ".join(keys.scopes)
        if keys.audience:
            form["audience"] = keys.audience
        if keys.send == "basic":
            headers["Authorization"] = f"Basic {self._basic()}"
        else:
            form |= {"client_id": keys.client_id, "client_secret": keys.client_secret}
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = "&".join(f"{name}={quote_plus(value)}" for name, value in form.items()).encode()
        try:
            async with asyncio.timeout(LONGEST):
                answer = await elsewhere(endpoint, keys.token_url, headers, body, MOST_TOKEN_BYTES)
            said = json_of(answer)
        except TimeoutError:
            raise ModelTimeout(f"no token from the token endpoint within {LONGEST:g} s") from None
        except InvalidReply as error:
            raise ModelRefused(f"no token from the token endpoint: {error}") from None
        except ModelError as error:
            if error.failure in ("invalid_input", "internal"):
                raise ModelRefused(f"no token from the token endpoint: {error}") from None
            raise
        self._keep(said)

    def _keep(self, said: Any) -> None:
        token = said.get("access_token") if isinstance(said, dict) else None
        if not isinstance(token, str) or not token or not token.isprintable():
            raise ModelRefused("the token endpoint answered without an 'access_token'")
        life = said.get("expires_in", 3600)
        try:
            seconds = max(0.0, float(life))
        except (TypeError, ValueError):
            seconds = 3600.0
        now = asyncio.get_running_loop().time()
        self._token = token
        self._given.append(token)
        self._until = now + max(1.0, seconds - min(LEEWAY, seconds / 10))


def _seen(task: asyncio.Task[None]) -> None:
    """Takes note of a failure that nobody waited for."""
    if not task.cancelled():
        task.exception()
