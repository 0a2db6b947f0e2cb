"""Which way the parts of one upload go: straight to storage, or through the service."""

import logging

from partway_client.models import Route

logger = logging.getLogger(__name__)

_TRIES = 2
"""So often a part must have failed to reach storage, in a row: once may be a passing moment."""


class Way:
    """Begins as `route` says; AUTO turns to the service, once and for good.

    That is when storage cannot be reached, and never after a part has reached it: then what fails
    is passing. `offered` is whether the service passes parts on, None if it has not said so yet.
    """

    def __init__(self, *, route: Route, offered: bool | None) -> None:
        self._route = route
        self._offered = offered
        self._reached = False
        self._trouble_told = False
        self.via_service = route is Route.SERVICE
        self.problem = ""

    @property
    def may_turn(self) -> bool:
        """Whether parts may go through the service yet, though none does so far."""
        direct = self._route is Route.AUTO and not self.via_service
        return direct and self._offered is not False and not self._reached

    @property
    def closed(self) -> bool:
        """Whether parts would have gone through the service, if it passed them on."""
        return self._route is Route.AUTO and not self._reached

    def reached(self) -> None:
        """Storage took a part that was sent straight to it."""
        self._reached = True

    def not_reached(self, problem: str, tries: int) -> None:
        """A part did not reach storage, for the `tries`-th time in a row."""
        self.problem = problem
        if tries < _TRIES:
            return
        if self.may_turn:
            self.via_service = True
            # A resumed Upload does not say whether the service passes parts on.
            words = "the parts go" if self._offered else "trying the way"
            logger.warning(
                "storage cannot be reached from here (%s): %s through the service", problem, words
            )
        elif not self.via_service and not self._trouble_told:
            # Once, or minutes would go by without a word.
            self._trouble_told = True
            logger.warning(
                "storage cannot be reached from here (%s): trying again for some minutes", problem
            )
