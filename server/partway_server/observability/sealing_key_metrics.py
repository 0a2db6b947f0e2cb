"""The metric of which sealing keys this process uses, so that a rotation can be followed."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Gauge


def report_sealing_keys(registry: CollectorRegistry, key_ids: Sequence[str]) -> None:
    """Report the IDs of the sealing keys, of which the first encrypts and all decrypt."""
    keys = Gauge(
        "partway_sealing_key_info",
        "1 for each sealing key of this process, by its ID; use is encrypt for the first, which"
        " decrypts too, and decrypt for the others.",
        ["key_id", "use"],
        registry=registry,
    )
    # From the back: of a key that is named twice, the first counts.
    for place, key_id in reversed([*enumerate(key_ids)]):
        keys.labels(key_id, "decrypt" if place else "encrypt").set(1)
