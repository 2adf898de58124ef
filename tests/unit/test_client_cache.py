"""The cache of the clients of a process."""

from __future__ import annotations

from signalbox.adapters.client_cache import ClientCache


def test_the_client_that_was_not_used_for_longest_has_to_go() -> None:
    evicted: list[str] = []
    cache = ClientCache[int, str](2, evict=evicted.append)
    made = [cache.get(key, f"client {key}".__str__) for key in (1, 2, 1, 3, 1)]
    assert made == ["client 1", "client 2", "client 1", "client 3", "client 1"]
    assert (evicted, len(cache)) == (["client 2"], 2)
    assert cache.get(2, lambda: "another") == "another"


def test_a_client_that_cannot_be_made_leaves_nothing() -> None:
    cache = ClientCache[int, str](2)
    for _ in range(2):
        try:
            cache.get(1, lambda: str(1 // 0))
        except ZeroDivisionError:
            assert len(cache) == 0
    assert cache.get(1, lambda: "made") == "made"
