"""The policies in force, which may change while the service runs."""

from collections.abc import Iterator, Mapping
from datetime import timedelta

from partway_server.domain.policy import Policy


class PolicyRegistry(Mapping[str, Policy]):
    """A Mapping that changes as a whole, and only while nobody who awaits nothing looks at it."""

    def __init__(self, policies: Mapping[str, Policy]) -> None:
        self._policies: Mapping[str, Policy] = {}
        self._longest_url = timedelta()
        self.replace(policies)

    def replace(self, policies: Mapping[str, Policy]) -> None:
        """Put these in force, and no other."""
        self._policies = dict(policies)
        longest = max(policy.max_url_seconds for policy in policies.values())
        self._longest_url = max(self._longest_url, timedelta(seconds=longest))

    def longest_url(self) -> timedelta:
        """How long any URL may work that was signed under these policies, or under those before."""
        return self._longest_url

    def __getitem__(self, name: str) -> Policy:
        return self._policies[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._policies)

    def __len__(self) -> int:
        return len(self._policies)
