"""The metrics of deliveries to webhooks."""

from collections.abc import Callable
from enum import StrEnum

from partway_server.observability.definitions import Definitions, Joined


class DeliveryOutcome(StrEnum):
    """The outcome of one attempt to deliver an event. DEAD means given up, whether sent or not."""

    DELIVERED = "delivered"
    RETRIED = "retried"
    DEAD = "dead"


class WebhookMetrics:
    """Counts deliveries, and reports what is left to deliver."""

    def __init__(self, define: Definitions) -> None:
        define.begin("Webhooks")
        self._deliveries = define.counter(
            "partway_webhook_deliveries",
            "Attempts to deliver an event, by outcome: delivered, retried, or dead (given up).",
            ["webhook", "outcome"],
        )
        self._oldest_event = define.gauge(
            "partway_webhook_oldest_event_age_seconds",
            "Age of the oldest event that this process has to deliver; 0 if it has none.",
            ["webhook"],
            joined=Joined.MAX,
        )
        self._dead_letters = define.gauge(
            "partway_webhook_dead_letters",
            "Dead letters in the shards that this process delivers.",
            ["webhook"],
        )
        self._shards_away = define.gauge(
            "partway_webhook_shards_away",
            "Shards, of 64, that do not respond to this process; their events wait.",
            joined=Joined.MAX,
        )

    def webhook(
        self, name: str, *, oldest_age_seconds: Callable[[], float], letters: Callable[[], float]
    ) -> None:
        """Report a webhook from now on.

        The figures are read at each scrape, so that none is stale because work has stopped.
        """
        self._oldest_event.labels(name).set_function(oldest_age_seconds)
        self._dead_letters.labels(name).set_function(letters)
        for outcome in DeliveryOutcome:
            # Present from the start: a rate needs an initial zero.
            self._deliveries.labels(name, outcome)

    def shards_away(self, number: Callable[[], float]) -> None:
        """Report the number of unreachable shards from now on."""
        self._shards_away.set_function(number)

    def tried(self, name: str, outcome: DeliveryOutcome) -> None:
        """Count an attempt to deliver an event."""
        self._deliveries.labels(name, outcome).inc()
