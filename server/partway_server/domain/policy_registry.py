"""The policies in force, which a reload replaces while the service runs."""

from collections.abc import Iterator, Mapping
from datetime import timedelta

from partway_server.domain.policy import Policy


class PolicyRegistry(Mapping[str, Policy]):
    """Policies, replaced atomically; no await may separate a lookup from its use."""

    def __init__(self, policies: Mapping[str, Policy]) -> None:
        self._policies: Mapping[str, Policy] = {}
        self._longest_url = timedelta()
        self.replace(policies)

    def replace(self, policies: Mapping[str, Policy]) -> None:
        """Put these policies in force, and no others."""
        self._policies = dict(policies)
        longest = max(policy.max_url_seconds for policy in policies.values())
        self._longest_url = max(self._longest_url, timedelta(seconds=longest))

    def longest_url(self) -> timedelta:
        """Return the longest lifetime of a URL signed under these policies or any before them."""
        return self._longest_url

    def __getitem__(self, name: str) -> Policy:
        return self._policies[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._policies)

    def __len__(self) -> int:
        return len(self._policies)
