"""Tests what the service counts, as Prometheus scrapes it."""

import aiohttp
import pytest
from partway_server.observability.metrics import Metrics
from partway_server.observability.webhook_metrics import DeliveryOutcome

from tests.support.scrapes import scraping


async def test_what_was_counted_is_served() -> None:
    metrics = Metrics()
    with metrics.part_via_service("films"):
        metrics.passed_via_service("films", 7)
    with pytest.raises(InterruptedError), metrics.part_via_service("films"):
        raise InterruptedError
    async with scraping(metrics) as port, aiohttp.ClientSession() as http:
        async with http.get(f"http://127.0.0.1:{port}/metrics") as answer:
            assert answer.headers["Content-Type"].startswith("text/plain")
            lines = (await answer.text()).splitlines()
    assert 'partway_via_service_bytes_total{policy="films"} 7.0' in lines
    assert 'partway_via_service_parts_total{outcome="OK",policy="films"} 1.0' in lines
    assert 'partway_via_service_parts_total{outcome="InterruptedError",policy="films"} 1.0' in lines
    assert "partway_via_service_in_progress 0.0" in lines


async def test_a_part_is_seen_while_it_passes() -> None:
    metrics = Metrics()
    with metrics.part_via_service("films"):
        assert metrics.registry.get_sample_value("partway_via_service_in_progress") == 1


async def test_a_webhook_is_told_of_from_the_start_and_asked_each_time() -> None:
    metrics, ages = Metrics(), [7.0, 8.0]
    metrics.webhook("orders", oldest_age_seconds=lambda: ages.pop(0), letters=lambda: 2)
    metrics.shards_away(lambda: 3)
    metrics.webhook_tried("orders", DeliveryOutcome.RETRIED)
    async with scraping(metrics) as port, aiohttp.ClientSession() as http:
        for age in (7.0, 8.0):
            async with http.get(f"http://127.0.0.1:{port}/metrics") as answer:
                lines = (await answer.text()).splitlines()
            assert f'partway_webhook_oldest_event_age_seconds{{webhook="orders"}} {age}' in lines
    deliveries = [line for line in lines if line.startswith("partway_webhook_deliveries_total")]
    assert deliveries == [
        'partway_webhook_deliveries_total{outcome="delivered",webhook="orders"} 0.0',
        'partway_webhook_deliveries_total{outcome="retried",webhook="orders"} 1.0',
        'partway_webhook_deliveries_total{outcome="dead",webhook="orders"} 0.0',
    ]
    assert 'partway_webhook_dead_letters{webhook="orders"} 2.0' in lines
    assert "partway_webhook_shards_away 3.0" in lines


async def test_two_services_do_not_count_together() -> None:
    one, other = Metrics(), Metrics()
    one.passed_via_service("films", 7)
    name = "partway_via_service_bytes_total"
    assert other.registry.get_sample_value(name, {"policy": "films"}) is None


async def test_a_port_that_is_taken_cannot_be_had() -> None:
    async with scraping(Metrics()) as port:
        with pytest.raises(OSError):
            async with scraping(Metrics(), port):
                pass
