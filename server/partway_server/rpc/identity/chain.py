"""Authenticates a call by the first method that finds credentials of its kind."""

from collections.abc import Awaitable, Callable, Sequence

from partway_server.domain.errors import CallerUnknown
from partway_server.domain.principal import Principal
from partway_server.rpc.identity.base import Authenticator, Context


class AuthenticationChain:
    """Authenticators in order. Credentials that one rejects are never tried as another kind.

    `expected_key` is the metadata key that is missing from a call without any credentials.
    `reloads` read again what the authenticators verify with.
    """

    def __init__(
        self,
        authenticators: Sequence[Authenticator],
        *,
        expected_key: str,
        reloads: Sequence[Callable[[], Awaitable[bool]]] = (),
    ) -> None:
        self._authenticators = tuple(authenticators)
        self._expected_key = expected_key
        self._reloads = tuple(reloads)

    async def principal(self, context: Context) -> Principal:
        for authenticator in self._authenticators:
            found = await authenticator.authenticate(context)
            if found is not None:
                return found
        raise CallerUnknown(self._expected_key)

    async def reload(self) -> bool:
        """Read again what callers are verified with; return whether all of it could be used."""
        return all([await reload() for reload in self._reloads])

    async def warm_up(self) -> None:
        """Fetch what callers are verified with, so that the first of them need not wait."""
        await self.reload()
