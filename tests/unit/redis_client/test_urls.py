"""Tests what a Redis URL refers to."""

import pytest
from partway_server.redis_client.topology import connect
from partway_server.redis_client.urls import CLUSTER, SENTINEL, Deployment, deployment


def named(url: str) -> Deployment:
    found = deployment(url)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "url", ["redis://h", "rediss://u:p@h:1/2?protocol=3", "unix:///run/redis.sock"]
)
def test_one_server_is_left_to_redis_py(url: str) -> None:
    assert deployment(url) is None


def test_sentinels_and_the_service_they_know() -> None:
    found = named("redis+sentinel://a,b:1,[::1]:2/films/3")
    assert (found.kind, found.service) == (SENTINEL, "films")
    assert found.addresses == [("a", 26379), ("b", 1), ("::1", 2)]
    assert found.server_url(("c", 6379)) == "redis://c:6379/3"
    assert found.server_url(("::2", 6379)) == "redis://[::2]:6379/3"
    assert found.sentinel_url(("a", 26379)) == "redis://a:26379"


def test_the_nodes_of_a_cluster() -> None:
    found = named("redis+cluster://a:7000,b/0")
    assert (found.kind, found.service) == (CLUSTER, "")
    assert found.addresses == [("a", 7000), ("b", 6379)]
    assert found.server_url(("a", 7000)) == "redis://a:7000/0"


def test_user_and_password_are_the_servers() -> None:
    found = named("rediss+sentinel://alice:p%40ss@a/films?ssl_ca_certs=/ca.pem")
    assert found.server_url(("c", 1)) == "rediss://alice:p%40ss@c:1/0?ssl_ca_certs=%2Fca.pem"
    assert found.sentinel_url(("a", 1)) == "rediss://a:1?ssl_ca_certs=%2Fca.pem"


def test_sentinels_have_a_password_of_their_own() -> None:
    found = named("redis+sentinel://:one@a/films?sentinel_password=t%2Fwo&sentinel_username=s")
    assert found.server_url(("c", 1)) == "redis://:one@c:1/0"
    assert found.sentinel_url(("a", 1)) == "redis://s:t%2Fwo@a:1"


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://a:26379",
        "redis+sentinel://a:26379/",
        "redis+sentinel:///films",
        "redis+sentinel://a:hunter2/films",
        "redis+sentinel://a,,b/films",
        "redis+cluster://a/1",
        "redis+cluster://a:99999",
        "redis+other://a",
        "unix+cluster://a",
        "redis+cluster://a?no_such_option=hunter2",
        "redis+sentinel://a/films?no_such_option=hunter2",
        "redis+sentinel://a/films/hunter2",
    ],
)
def test_what_cannot_work_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        connect(url)
    assert "hunter2" not in str(caught.value)


def test_no_password_is_in_the_repr() -> None:
    assert "hunter2" not in repr(named("redis+cluster://:hunter2@a"))
