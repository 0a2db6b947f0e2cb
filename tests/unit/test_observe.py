"""What the service counts, as Prometheus asks for it."""

import aiohttp
import pytest
from partway_server.observe import Metrics, serving


async def test_what_was_counted_is_served() -> None:
    metrics = Metrics()
    with metrics.part_via_service("films"):
        metrics.passed_via_service("films", 7)
    with pytest.raises(InterruptedError), metrics.part_via_service("films"):
        raise InterruptedError
    async with serving(metrics, "127.0.0.1", 0) as port, aiohttp.ClientSession() as http:
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


async def test_two_services_do_not_count_together() -> None:
    one, other = Metrics(), Metrics()
    one.passed_via_service("films", 7)
    name = "partway_via_service_bytes_total"
    assert other.registry.get_sample_value(name, {"policy": "films"}) is None


async def test_a_port_that_is_taken_cannot_be_had() -> None:
    async with serving(Metrics(), "127.0.0.1", 0) as port:
        with pytest.raises(OSError):
            async with serving(Metrics(), "127.0.0.1", port):
                pass
