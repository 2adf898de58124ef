"""Nothing newer is undone: not by a worker that was frozen, nor by commands that run once more.

On servers that know nothing of the order of commands: what is newer there is known by what stands
beside an object, by the tombstone of a deleted one, and by requests that end with their lease.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from signalbox.adapters.catalogue import Backend
from signalbox.adapters.port import Call
from signalbox.commands.clock import lease_clock
from signalbox.commands.error import LeaseExpired, NotFound, SignalboxError
from signalbox.commands.scope import ResourceKind
from signalbox.testing.harness import Harness, Variant
from signalbox.testing.object_caller import Acceptance, ObjectCaller, OpenObjects

KIND = ResourceKind.OBJECT_STORE
EXCEPT = {"filesystem"}
LEASE = 5.0


class Frozen(Call):
    """A worker that is frozen before the first byte of a request, and wakes after its lease."""

    def freeze(self, question: int) -> None:
        """At which question for the lease."""
        self.__dict__ |= {"left": question, "frozen": threading.Event(), "thaw": threading.Event()}

    def wait_frozen(self) -> None:
        assert self.__dict__["frozen"].wait(LEASE), "it never came to that question"

    def wake(self) -> None:
        time.sleep(max(0.0, self.deadline - lease_clock()))
        self.__dict__["thaw"].set()

    def remaining(self) -> float:
        left = super().remaining()
        self.__dict__["left"] -= 1
        if self.__dict__["left"] == 0:
            self.__dict__["frozen"].set()
            self.__dict__["thaw"].wait(60)
        return left


def frozen_call(
    objects: ObjectCaller, acceptance: Acceptance, backend: Backend, *, effect: int = 1
) -> Frozen:
    """Frozen in the effect of this number: boto3 and the SDK of Azure ask twice for each, before
    they sign and before they send."""
    call = Frozen(**vars(objects.call(acceptance, seconds=LEASE)))
    once = backend.backend_type == "s3" and not isinstance(backend, Variant)
    call.freeze(effect if once else 2 * effect)
    return call


@pytest.fixture(params=[True, False], ids=["fenced", "unfenced"])
def routed(
    request: pytest.FixtureRequest, open_objects: OpenObjects, harness: Harness
) -> ObjectCaller:
    objects: ObjectCaller = open_objects(config=harness.config | {"fenced_writes": request.param})
    return objects


def woken_too_late(call: Frozen, act: Callable[[], object], meanwhile: Callable[[], object]) -> str:
    """What the service answers to what was frozen while something else was done."""
    with ThreadPoolExecutor(1) as thread:
        late = thread.submit(act)
        call.wait_frozen()
        meanwhile()
        call.wake()
        with pytest.raises(SignalboxError) as refused:
            late.result()
    return refused.value.code


def test_a_put_that_was_frozen_does_not_bring_a_deleted_object_back(
    routed: ObjectCaller, backend: Backend
) -> None:
    acceptance = Acceptance()
    call = frozen_call(routed, acceptance, backend)

    def meanwhile() -> None:
        routed.put("a", b"old", call=routed.call(acceptance, takeover=True))
        routed.delete("a")

    code = woken_too_late(call, lambda: routed.put("a", b"old", call=call), meanwhile)
    assert code == LeaseExpired.code
    assert routed.keys() == []


def test_a_put_that_was_frozen_does_not_replace_equal_content_that_is_newer(
    routed: ObjectCaller, backend: Backend
) -> None:
    routed.put("a", b"one")
    acceptance = Acceptance()
    call = frozen_call(routed, acceptance, backend, effect=2 if _fenced(routed) else 1)

    def meanwhile() -> None:
        routed.put("a", b"two", call=routed.call(acceptance, takeover=True))
        routed.put("a", b"one")

    code = woken_too_late(call, lambda: routed.put("a", b"two", call=call), meanwhile)
    assert code == LeaseExpired.code
    assert routed.read("a") == b"one"


def test_a_delete_that_was_frozen_leaves_what_is_newer(
    routed: ObjectCaller, backend: Backend
) -> None:
    routed.put("a", b"old")
    acceptance = Acceptance()
    # A fenced one leaves its tombstone first.
    call = frozen_call(routed, acceptance, backend, effect=2 if _fenced(routed) else 1)

    def meanwhile() -> None:
        routed.delete("a", call=routed.call(acceptance, takeover=True))
        routed.put("a", b"old")

    code = woken_too_late(call, lambda: routed.delete("a", call=call), meanwhile)
    assert code == LeaseExpired.code
    assert routed.read("a") == b"old"


def test_a_large_put_that_was_frozen_is_refused_too(routed: ObjectCaller, backend: Backend) -> None:
    payload = routed.payloads.stage([bytes(9 * 1024**2)])
    call = routed.call(seconds=LEASE)
    frozen = Frozen(**vars(call))
    # The last of: begin (S3 alone), two parts, complete; each is asked for twice.
    frozen.freeze(8 if backend.backend_type == "s3" else 6)
    code = woken_too_late(
        frozen, lambda: routed.put("a", payload, call=frozen), lambda: routed.keys()
    )
    assert code == LeaseExpired.code
    assert routed.keys() == []


@pytest.mark.parametrize("condition", ["none", "if_absent", "if_match"])
def test_a_put_whose_object_a_newer_command_deleted_took_effect(
    objects: ObjectCaller, condition: str
) -> None:
    fields: dict[str, Any] = {}
    if condition == "if_absent":
        fields["if_absent"] = True
    if condition == "if_match":
        fields["if_match"] = objects.put("a", b"before").etag
    acceptance = Acceptance()
    first = objects.put("a", b"one", call=objects.call(acceptance), **fields)
    assert not objects.delete("a")
    again = objects.put("a", b"one", call=objects.call(acceptance, takeover=True), **fields)
    assert again == first
    assert objects.keys() == []


def test_a_put_that_is_older_than_a_delete_is_not_written_and_says_so(
    objects: ObjectCaller,
) -> None:
    late = Acceptance()
    objects.put("a", b"newer")
    objects.delete("a")
    assert objects.put("a", b"late", call=objects.call(late, takeover=True)).superseded
    assert objects.keys() == []


def test_a_put_that_is_newer_than_a_delete_is_written_also_by_a_takeover(
    objects: ObjectCaller,
) -> None:
    objects.put("a", b"old")
    objects.delete("a")
    result = objects.put("a", b"new", call=objects.call(takeover=True), if_absent=True)
    assert not result.superseded
    assert objects.read("a") == b"new"


def test_writes_that_are_dropped_for_a_newer_one_say_so(objects: ObjectCaller) -> None:
    late, later = Acceptance(), Acceptance()
    assert not objects.put("a", b"newer").superseded
    assert objects.put("a", b"late", call=objects.call(late, takeover=True)).superseded
    assert objects.delete("a", call=objects.call(later, takeover=True))
    assert objects.read("a") == b"newer"


def test_a_delete_that_was_done_before_a_newer_put_came_does_not_say_that_it_was_dropped(
    objects: ObjectCaller,
) -> None:
    objects.put("a", b"old")
    acceptance = Acceptance()
    objects.delete("a", call=objects.call(acceptance))
    objects.put("a", b"new")
    assert not objects.delete("a", call=objects.call(acceptance, takeover=True))
    assert objects.read("a") == b"new"


def test_an_op_id_that_is_used_anew_is_written(routed: ObjectCaller) -> None:
    # Its mark is another, since it is another acceptance.
    routed.put("a", b"yesterday", call=routed.call(Acceptance(op_id="1")))
    for takeover in (False, True):
        content = b"today" if takeover else b"this morning"
        result = routed.put("a", content, call=routed.call(takeover=takeover))
        assert not result.superseded
        assert routed.read("a") == content


def test_every_key_has_room_for_a_tombstone_which_no_key_leads_to(objects: ObjectCaller) -> None:
    longest = "k" * 960
    while True:
        try:
            objects.put(longest)
        except SignalboxError:
            longest = longest[:-1]
        else:
            break
    objects.delete(longest)
    assert objects.keys() == []
    with pytest.raises(NotFound):
        objects.head(longest)


def test_a_service_that_does_all_of_it_passes_the_check(objects: ObjectCaller) -> None:
    objects.put("a")
    objects.store.check_fences("a", objects.call())


def _fenced(objects: ObjectCaller) -> bool:
    return objects.store.driver.traits.fenced_writes
