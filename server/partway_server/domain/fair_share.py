"""A limit that tenants share: each may use what is free, and gives way when others come.

The rule is the dynamic threshold by which the ports of a switch share its memory (Choudhury and
Hahne, "Dynamic Queue Length Thresholds for Shared-Memory Packet Switches", 1998): a tenant gets
more only while it uses less than ALPHA times what is free. A tenant alone gets ALPHA / (1 + ALPHA)
of the whole; n tenants that want everything get ALPHA / (1 + n * ALPHA) each. Something is always
left for a tenant that uses nothing. Nothing is taken away: whoever has too much gets no more until
it has given back enough.
"""

ALPHA = 2


class FairShare:
    """What the tenants use of one capacity, in any unit. The capacity may change at any time."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.total = 0
        self._used: dict[str, int] = {}

    def has_room(self, tenant: str) -> bool:
        """Return whether the tenant may use more."""
        return self._used.get(tenant, 0) < ALPHA * (self.capacity - self.total)

    def used(self, tenant: str) -> int:
        """Return how much the tenant uses."""
        return self._used.get(tenant, 0)

    def largest(self) -> int:
        """Return how much the tenant uses that uses the most."""
        return max(self._used.values(), default=0)

    def take(self, tenant: str, amount: int = 1) -> None:
        """Count what the tenant uses from now on, whether there is room or not."""
        self.total += amount
        self._used[tenant] = self._used.get(tenant, 0) + amount

    def give_back(self, tenant: str, amount: int = 1) -> None:
        """Count what the tenant no longer uses."""
        self.total -= amount
        left = self._used[tenant] - amount
        if left:
            self._used[tenant] = left
        else:
            # A tenant that uses nothing costs nothing.
            del self._used[tenant]
