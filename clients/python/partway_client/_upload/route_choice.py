"""Chooses the route of one upload's parts: straight to storage, or through the service."""

import logging

from partway_client.models import Route

logger = logging.getLogger(__name__)

_TRIES = 2
"""How often in a row a part must fail to reach storage: a single failure may be transient."""


class RouteChoice:
    """The route in use: it starts as `route` says; AUTO switches to the service once, for good.

    It switches when storage cannot be reached, but never after a part has reached storage: then
    failures are transient. `offered` is whether the service accepts parts, None if not yet known.
    """

    def __init__(self, *, route: Route, offered: bool | None) -> None:
        self._route = route
        self._offered = offered
        self._reached = False
        self._warned = False
        self.via_service = route is Route.SERVICE
        self.problem = ""

    @property
    def may_switch(self) -> bool:
        """Whether parts go straight to storage now, but may still switch to the service."""
        direct = self._route is Route.AUTO and not self.via_service
        return direct and self._offered is not False and not self._reached

    @property
    def would_switch(self) -> bool:
        """Whether parts would go through the service, if it accepted them."""
        return self._route is Route.AUTO and not self._reached

    def reached(self) -> None:
        """Record that storage accepted a part sent straight to it."""
        self._reached = True

    def not_reached(self, problem: str, tries: int) -> None:
        """Record that a part failed to reach storage, for the `tries`-th time in a row."""
        self.problem = problem
        if tries < _TRIES:
            return
        if self.may_switch:
            self.via_service = True
            # A resumed Upload does not say whether the service accepts parts.
            action = "sending the parts" if self._offered else "trying to send the parts"
            logger.warning(
                "storage cannot be reached from here (%s): %s through the service", problem, action
            )
        elif not self.via_service and not self._warned:
            # Once, or minutes would pass without any message.
            self._warned = True
            logger.warning(
                "storage cannot be reached from here (%s): retrying for some minutes", problem
            )
