"""Reloads the webhook file while the service runs.

An invalid file changes nothing. A valid one takes effect at once: what is under way ends at the
endpoint where it began, and every later attempt follows the new rules. A name keeps one worker for
as long as the process runs, so that nothing is sent by two.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from partway_server.config.reload import changed
from partway_server.events.dispatcher import WebhookDispatcher
from partway_server.events.webhook_file import Webhook, WebhookFileError
from partway_server.events.webhook_sender import Sender
from partway_server.events.webhook_worker import WebhookWorker

logger = logging.getLogger(__name__)


class WebhookReloader:
    """Gives the dispatcher its workers, and changes them when the file changes.

    `read` raises OSError or ValueError, as `load_webhooks` does. A sender stays open to the end,
    because a delivery may be under way in it.
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
        self._open_worker = open_worker
        self._dispatcher = dispatcher
        self._webhooks: dict[str, Webhook] = {}
        self._workers: dict[str, WebhookWorker] = {}

    async def reload(self) -> bool:
        """Read the file and return whether it took effect. Problems are logged."""
        try:
            webhooks = await asyncio.to_thread(self._read)
        except WebhookFileError as error:
            for line in error.lines:
                logger.error("webhooks: PARTWAY_WEBHOOK_FILE: %s", line)
            logger.error("webhooks: not reloaded; the previous webhooks stay in force")
            return False
        before = self._webhooks
        self.apply(webhooks)
        changes = ", ".join(changed("webhook", before, self._webhooks))
        logger.info("webhooks reloaded: %s", changes or "nothing has changed")
        return True

    def apply(self, webhooks: Sequence[Webhook]) -> None:
        """Deliver to these webhooks, and to no others, from now on."""
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
                self._workers[name] = self._open_worker(webhook, sender)
                self._dispatcher.add(self._workers[name])
