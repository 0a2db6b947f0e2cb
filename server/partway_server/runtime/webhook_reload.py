"""The webhooks of the file, read anew while the service runs.

A file with a fault changes nothing. One without is in force from one moment to the next: what is
under way ends at the endpoint where it began, and what is tried after that follows the new rules. A
name has one worker for as long as the process runs, so that nothing is sent by two.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from partway_server.config.reload import changed
from partway_server.events.dispatcher import WebhookDispatcher
from partway_server.events.webhook_file import Webhook
from partway_server.events.webhook_sender import Sender
from partway_server.events.webhook_worker import WebhookWorker

logger = logging.getLogger(__name__)


class WebhookReloader:
    """Gives the dispatcher its workers. `read` raises OSError or ValueError, as `load_webhooks`
    does; a sender stays open to the end, for something may be under way in it.
    """

    def __init__(
        self,
        *,
        read: Callable[[], Sequence[Webhook]],
        open_sender: Callable[[Webhook], Sender],
        open_worker: Callable[[Webhook, Sender], WebhookWorker],
        dispatcher: WebhookDispatcher,
    ) -> None:
        self._read = read
        self._open_sender = open_sender
        self._open_courier = open_worker
        self._dispatcher = dispatcher
        self._webhooks: dict[str, Webhook] = {}
        self._workers: dict[str, WebhookWorker] = {}

    async def reload(self) -> bool:
        """Read the file now; whether it is in force. Why not is logged."""
        try:
            webhooks = await asyncio.to_thread(self._read)
        except (OSError, ValueError) as error:
            logger.error("webhooks: PARTWAY_WEBHOOK_FILE cannot be used: %s", error)
            logger.error("webhooks: none of it is in force; what was, stays")
            return False
        before = self._webhooks
        self.apply(webhooks)
        told = ", ".join(changed("webhook", before, self._webhooks))
        logger.info("webhooks read anew: %s", told or "nothing has changed")
        return True

    def apply(self, webhooks: Sequence[Webhook]) -> None:
        """These, and no others, from now on."""
        before, self._webhooks = self._webhooks, {webhook.name: webhook for webhook in webhooks}
        for name in before.keys() - self._webhooks.keys():
            self._workers[name].pause()
        for name, webhook in self._webhooks.items():
            if before.get(name) == webhook:
                continue
            sender = self._open_sender(webhook)
            if name in self._workers:
                self._workers[name].reconfigure(webhook, sender)
            else:
                self._workers[name] = self._open_courier(webhook, sender)
                self._dispatcher.add(self._workers[name])
