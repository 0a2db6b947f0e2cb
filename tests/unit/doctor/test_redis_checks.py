"""Tests the checks of Redis."""

from dataclasses import replace
from typing import Any

import pytest
from partway_server.doctor.probes.redis import RedisFacts, RedisNode
from partway_server.doctor.redis_checks import redis
from partway_server.redis_client.obstacles import OBSTACLES

NODE = RedisNode(
    version="7.2.4",
    mode="standalone",
    role="master",
    policy="noeviction",
    used_bytes=2**20,
    maxmemory_bytes=0,
    aof=True,
)
GOOD = RedisFacts(nodes=[NODE], skew_seconds=0.0, ping_seconds=[0.001] * 50)


def statuses(facts: RedisFacts) -> dict[str, str]:
    return {f.name.partition(".")[2]: str(f.status) for f in redis(facts)}


def test_a_redis_as_it_should_be_is_good_in_all() -> None:
    assert set(statuses(GOOD).values()) == {"ok"}
    assert len(statuses(GOOD)) == 10


@pytest.mark.parametrize("word", OBSTACLES)
def test_a_redis_out_of_reach_is_bad_and_the_rest_is_skipped(word: str) -> None:
    found = statuses(RedisFacts(obstacle=OBSTACLES[word]))
    assert set(found) == set(statuses(GOOD))
    assert found.pop("reachable") == "bad"
    assert set(found.values()) == {"skipped"}


@pytest.mark.parametrize(
    ("changes", "name", "status"),
    [
        ({"version": "6.2.14"}, "version", "bad"),
        ({"mode": "sentinel"}, "mode", "bad"),
        ({"mode": "cluster"}, "mode", "bad"),
        ({"mode": ""}, "mode", "ok"),
        ({"role": "slave"}, "mode", "bad"),
        ({"policy": "allkeys-lru"}, "eviction", "bad"),
        ({"policy": ""}, "eviction", "warn"),
        ({"maxmemory_bytes": 2**21}, "memory", "ok"),
        ({"maxmemory_bytes": int(1.25 * 2**20)}, "memory", "warn"),
        ({"maxmemory_bytes": 2**20}, "memory", "bad"),
        ({"aof": False, "saves": True}, "persistence", "ok"),
        ({"aof": False, "saves": False}, "persistence", "warn"),
        ({"aof": False, "saves": None}, "persistence", "warn"),
    ],
)
@pytest.mark.parametrize("position", [0, 1])
def test_one_server_that_is_otherwise_is_told_wherever_it_stands(
    changes: dict[str, Any], name: str, status: str, position: int
) -> None:
    nodes = [NODE, NODE]
    nodes[position] = replace(NODE, **changes)
    assert statuses(replace(GOOD, nodes=nodes))[name] == status


def test_a_cluster_is_good_if_it_is_spoken_to_as_one() -> None:
    nodes = [replace(NODE, mode="cluster")] * 3
    assert statuses(replace(GOOD, nodes=nodes, cluster_client=True))["mode"] == "ok"


def test_commands_that_are_refused_come_with_the_rule_that_allows_them() -> None:
    rule = "ACL SETUSER NAME +info"
    found = {f.name: f for f in redis(replace(GOOD, forbidden=["info"], rights=rule, nodes=[]))}
    assert found["redis.commands"].status == "bad"
    assert "+info" in found["redis.commands"].remedy
    assert found["redis.eviction"].status == "skipped"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("NOPERM this user has no permissions", "ACL SETUSER"),
        ("READONLY You can't write against a read only replica.", "primary"),
        ("OOM command not allowed when used memory > 'maxmemory'.", "maxmemory"),
        ("NOREPLICAS Not enough good replicas to write.", "min-replicas-to-write"),
        ("MISCONF Errors writing to the AOF file: No space left on device", "disk"),
    ],
)
def test_a_script_that_cannot_run_is_bad(said: str, words: str) -> None:
    facts = replace(GOOD, script=said, rights="ACL SETUSER NAME +time", skew_seconds=None)
    found = {f.name: f for f in redis(facts)}
    assert found["redis.scripts"].status == "bad"
    assert words in found["redis.scripts"].found + found["redis.scripts"].remedy
    assert found["redis.clock"].status == "skipped"


def test_a_clock_and_a_slow_line_are_warnings() -> None:
    found = statuses(replace(GOOD, skew_seconds=6.0, ping_seconds=[0.03] * 50))
    assert (found["clock"], found["latency"]) == ("warn", "warn")
    assert statuses(replace(GOOD, skew_seconds=-400.0))["clock"] == "bad"
