"""Events of uploads, read and delivered: the streams for consumers, and webhooks."""
