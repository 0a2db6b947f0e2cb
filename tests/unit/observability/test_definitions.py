"""Tests that what sends names of its own cannot create time series without end."""

from partway_server.observability.definitions import OTHER, Children, Definitions
from prometheus_client import CollectorRegistry


def test_past_the_bound_new_values_share_one_series() -> None:
    registry = CollectorRegistry()
    metric = Definitions(registry).counter("codes", "By code.", ["code"])
    count = Children(metric, most=3)
    for number in range(10):
        count(f"code{number}").inc()
    count("code1").inc()
    values = {
        each: registry.get_sample_value("codes_total", {"code": each}) for each in (OTHER, "code1")
    }
    assert values == {OTHER: 7, "code1": 2}
    [family] = registry.collect()
    assert len(family.samples) == 4
