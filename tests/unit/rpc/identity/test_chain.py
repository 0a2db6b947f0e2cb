"""Tests which method of authentication decides, and that nothing overrules it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from partway_server.domain.errors import CallerUnknown, CredentialsRejected
from partway_server.domain.grant import Caller
from partway_server.domain.principal import ALL_SCOPES, Principal
from partway_server.rpc.identity.anonymous import AnonymousAuthenticator
from partway_server.rpc.identity.authorization import authorization_of
from partway_server.rpc.identity.base import Context
from partway_server.rpc.identity.chain import AuthenticationChain
from partway_server.rpc.identity.metadata import MetadataAuthenticator, caller_of
from partway_server.rpc.identity.rejections import Rejections

from tests.support.clock import FakeClock
from tests.support.issuer import ACall

CALL: Any = ACall()


@dataclass
class Always:
    """An authenticator that always comes to the same result."""

    result: Principal | Exception | None
    asked: list[Context] = field(default_factory=list)

    async def authenticate(self, context: Context) -> Principal | None:
        self.asked.append(context)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def principal(tenant: str) -> Principal:
    return Principal(Caller(tenant, ""), ALL_SCOPES)


def chain(*authenticators: Always) -> AuthenticationChain:
    return AuthenticationChain(authenticators, expected_key="authorization")


async def test_the_first_that_finds_credentials_decides() -> None:
    last = Always(principal("other"))
    found = await chain(Always(None), Always(principal("acme")), last).principal(CALL)
    assert found.caller.tenant == "acme"
    assert last.asked == []


async def test_rejected_credentials_are_not_tried_as_weaker_ones() -> None:
    last = Always(principal("acme"))
    with pytest.raises(CredentialsRejected):
        await chain(Always(CredentialsRejected()), last).principal(CALL)
    assert last.asked == []


@pytest.mark.parametrize("authenticators", [[], [Always(None)]])
async def test_a_call_without_credentials_learns_what_to_send(
    authenticators: Sequence[Always],
) -> None:
    with pytest.raises(CallerUnknown) as raised:
        await chain(*authenticators).principal(CALL)
    assert raised.value.key == "authorization"


async def test_a_reload_reaches_all_even_if_one_fails() -> None:
    reloaded = []

    def reload(works: bool) -> Any:
        async def run() -> bool:
            reloaded.append(works)
            return works

        return run

    both = AuthenticationChain([], expected_key="x", reloads=[reload(False), reload(True)])
    assert await both.reload() is False
    assert reloaded == [False, True]


@pytest.mark.parametrize("metadata", [[], [("partway-tenant", "evil"), ("authorization", "x")]])
async def test_of_anyone_nothing_is_asked(metadata: list[tuple[str, str]]) -> None:
    call: Any = ACall(metadata)
    found = await AnonymousAuthenticator().authenticate(call)
    assert found == Principal(Caller("default", ""), ALL_SCOPES)


@pytest.mark.parametrize(
    ("metadata", "caller"),
    [
        ([("partway-tenant", "acme")], Caller("acme", "")),
        ([("partway-tenant", "acme"), ("partway-subject", "al")], Caller("acme", "al")),
        ([("x", "1"), ("x", "2"), ("partway-tenant", "acme")], Caller("acme", "")),
    ],
)
def test_metadata_names_the_caller(metadata: list[tuple[str, str]], caller: Caller) -> None:
    assert caller_of(metadata) == caller


@pytest.mark.parametrize(
    ("metadata", "key"),
    [
        ([("partway-subject", "al")], "partway-tenant"),
        ([("partway-tenant", b"acme")], "partway-tenant"),
        ([("partway-tenant", "acme"), ("partway-tenant", "acme")], "partway-tenant"),
        ([("partway-tenant", "acme"), ("partway-subject", b"x")], "partway-subject"),
        ([("partway-tenant", "acme"), ("partway-subject", "x" * 129)], "partway-subject"),
        ([("partway-tenant", "acme"), ("partway-subject", "a\nb")], "partway-subject"),
    ],
)
async def test_metadata_that_names_nobody_is_refused(
    metadata: list[tuple[str, str | bytes]], key: str
) -> None:
    with pytest.raises(CallerUnknown) as raised:
        await by_metadata(metadata, trusted=True)
    assert raised.value.key == key


async def test_a_peer_that_is_not_trusted_names_nobody(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(CredentialsRejected):
        await by_metadata([("partway-tenant", "acme")], trusted=False)
    with pytest.raises(CredentialsRejected):
        await by_metadata([("partway-subject", "al")], trusted=False)
    assert "PARTWAY_TRUSTED_PEERS" in caplog.text


@pytest.mark.parametrize("trusted", [False, True])
async def test_metadata_of_others_is_no_credentials(trusted: bool) -> None:
    assert await by_metadata([("x-tenant", "acme")], trusted=trusted) is None


async def by_metadata(
    metadata: list[tuple[str, str | bytes]], *, trusted: bool
) -> Principal | None:
    authenticator = MetadataAuthenticator(
        # One that vouches is enough.
        trusted=[lambda call: False, lambda call: trusted],
        rejections=Rejections(FakeClock()),
    )
    call: Any = ACall(metadata)
    return await authenticator.authenticate(call)


@pytest.mark.parametrize(
    ("value", "scheme", "rest"),
    [
        ("Bearer abc", "bearer", "abc"),
        ("bearer  abc ", "bearer", "abc"),
        ("PARTWAY abc", "partway", "abc"),
        ("abc", "abc", ""),
        ("", "", ""),
        ("Bearer a b", "bearer", "a b"),
    ],
)
def test_an_authorization_has_a_scheme(value: str, scheme: str, rest: str) -> None:
    call: Any = ACall([("x", "y"), ("authorization", value)])
    found = authorization_of(call, Rejections(FakeClock()))
    assert found is not None
    assert (found.scheme, found.value) == (scheme, rest)
    assert not rest or rest not in repr(found)


@pytest.mark.parametrize("values", [("Bearer a", "Bearer a"), ("Partway a", "Bearer b"), (b"x",)])
def test_an_ambiguous_authorization_is_refused(values: Sequence[str | bytes]) -> None:
    call: Any = ACall([("authorization", value) for value in values])
    with pytest.raises(CredentialsRejected):
        authorization_of(call, Rejections(FakeClock()))


def test_a_cause_is_logged_once_a_minute_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    rejections = Rejections(clock)
    for _ in range(100):
        rejections.reject("one")
        rejections.reject("other")
    assert [r.getMessage() for r in caplog.records] == [
        "credentials rejected: one (1 so far)",
        "credentials rejected: other (1 so far)",
    ]
    clock.advance(59)
    rejections.reject("one")
    clock.advance(1)
    rejections.reject("one")
    assert caplog.records[2:][0].getMessage() == "credentials rejected: one (102 so far)"
    assert len(caplog.records) == 3
