"""The owner's calls, those of the page and those under /v1, through real workers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from signalbox.commands.model import new_op_id
from signalbox.commands.scope import ResourceKind
from tests.absent import absent
from tests.conformance.firestore_harness import firestore_emulator
from tests.gateway.conftest import Gateway, error_of
from tests.gateway.page import BASE, ROOT, page_calls
from tests.integration.conftest import wait_until

NODE = Path(__file__).with_name("store_and_route.mjs")
HEADER_CALLS = Path(__file__).with_name("header_calls.sh")


@pytest.fixture(scope="module")
def tenant(gateway: Gateway) -> str:
    return gateway.routes("t_full")


def ok(response: httpx.Response, status: int = 200) -> Any:
    assert response.status_code == status, response.text
    return response.json()


def test_the_owners_calls_pass_in_their_six_groups(gateway: Gateway) -> None:
    firestore_emulator()  # skips where there is none
    result = subprocess.run([str(HEADER_CALLS), gateway.base], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("ok ") == 16
    assert "FAILED" not in result.stdout


def test_every_call_of_the_page_does_what_it_says(gateway: Gateway) -> None:
    calls = page_calls()
    assert sum(call.count("curl ") for call in calls) > 25
    for call in calls:
        # -f: an error ends it.
        text = call.replace(BASE, gateway.base).replace("curl ", "curl -sS -f ")
        result = subprocess.run(["sh", "-e"], input=text, cwd=ROOT, capture_output=True, text=True)
        assert result.returncode == 0, f"{call}\n{result.stdout}\n{result.stderr}"


def test_an_object_from_put_to_delete(gateway: Gateway, tenant: str) -> None:
    http, path = gateway.http, f"/v1/objects/{tenant}/dev/docs/a%20b.txt"
    headers = {"Content-Type": "text/plain", "X-Meta-Author": "Ann"}
    stored = http.put(path, content=b"0123456789", headers=headers)
    etag = stored.headers["etag"]
    assert ok(stored)["size"] == 10
    got = http.get(path)
    assert got.content == b"0123456789"
    assert got.headers["content-type"] == "text/plain"
    assert got.headers["x-meta-author"] == "Ann"
    assert got.headers["etag"] == etag
    part = http.get(path, headers={"Range": "bytes=-3"})
    assert (part.status_code, part.content) == (206, b"789")
    assert http.get(path, headers={"If-None-Match": etag}).status_code == 304
    assert http.head(path).headers["content-length"] == "10"
    page = ok(http.get(f"/v1/objects/{tenant}/dev", params={"prefix": "docs/"}))
    assert [each["key"] for each in page["objects"]] == ["docs/a b.txt"]
    again = http.put(path, content=b"x", headers={"If-None-Match": "*"})
    assert (error_of(again)["error_code"], again.status_code) == ("ALREADY_EXISTS", 412)
    lost = http.put(path, content=b"x", headers={"If-Match": '"other"'})
    assert (error_of(lost)["error_code"], lost.status_code) == ("PRECONDITION_FAILED", 412)
    changed = http.put(path, content=b"new", headers={"If-Match": etag})
    ok(changed)
    ok(http.delete(path, headers={"If-Match": changed.headers["etag"]}))
    assert error_of(http.get(path))["error_code"] == "NOT_FOUND"


@pytest.mark.parametrize("size", [0, 1, 64 * 1024, 64 * 1024 + 1, 3_000_000])
def test_contents_of_all_sizes_come_back_whole(gateway: Gateway, tenant: str, size: int) -> None:
    path, data = f"/v1/objects/{tenant}/dev/size-{size}", os.urandom(size)
    ok(gateway.http.put(path, content=data))
    assert gateway.http.get(path).content == data
    ok(gateway.http.put(path, content=iter([data, b"!"])))  # chunked
    assert gateway.http.get(path).content == data + b"!"


def test_a_digest_that_does_not_fit_stores_nothing(gateway: Gateway, tenant: str) -> None:
    path = f"/v1/objects/{tenant}/dev/wrong"
    refused = gateway.http.put(path, content=b"x", headers={"X-Content-SHA256": "0" * 64})
    assert 400 <= refused.status_code < 500
    error_of(refused)
    assert gateway.http.get(path).status_code == 404


def test_the_idempotency_key_is_the_op_id(gateway: Gateway, tenant: str) -> None:
    key, path = new_op_id(), f"/v1/streams/{tenant}/dev/orders"
    body = {"type": "order.placed", "data": {"order": 7}}
    first = ok(gateway.http.post(path, json=body, headers={"Idempotency-Key": key}))
    again = ok(gateway.http.post(path, json=body, headers={"Idempotency-Key": key}))
    assert first == again
    assert first["op_id"] == key
    events = ok(gateway.http.get(path))["events"]
    assert [event["data"] for event in events] == [{"order": 7}]
    other = gateway.http.post(path, json=body | {"data": {}}, headers={"Idempotency-Key": key})
    assert (error_of(other)["error_code"], other.status_code) == ("OP_ID_REUSED", 409)


def test_what_is_not_waited_for_is_asked_for_where_the_answer_says(
    gateway: Gateway, tenant: str
) -> None:
    path = f"/v1/rows/{tenant}/dev/people/late"
    accepted = gateway.http.put(path, json={"a": 1}, headers={"Prefer": "respond-async"})
    document = ok(accepted, 202)
    behind = {"X-After": document["op_id"]}
    assert ok(gateway.http.get(path, headers=behind))["data"] == {"a": 1}
    found = ok(gateway.http.get(accepted.headers["location"]))
    assert found["outcome"]["status"] == "done"
    unknown = gateway.http.get(f"/v1/outcomes/{tenant}/dev/nobody")
    assert error_of(unknown)["error_code"] == "NOT_FOUND"


def test_names_are_listed_in_pages(gateway: Gateway) -> None:
    tenant = gateway.routes("t_names")
    http = gateway.http
    for name in ("a%2Fb", "c", "ä"):
        ok(http.put(f"/v1/rows/{tenant}/dev/{name}/k", json={}))
        points = [{"series": unquote(name), "timestamp": "2026-01-31T12:00:00Z", "value": 1}]
        ok(http.post(f"/v1/points/{tenant}/dev", json={"points": points}))
        ok(http.post(f"/v1/streams/{tenant}/dev/{name}", json={"type": "t"}))
    for what in ("tables", "series", "streams"):
        path = f"/v1/{what}/{tenant}/dev"
        whole = ok(http.get(path))
        assert whole[what] == ["a/b", "c", "ä"]
        assert whole["next_cursor"] is None
        first = ok(http.get(path, params={"limit": 2}))
        assert first[what] == ["a/b", "c"]
        rest = ok(http.get(path, params={"limit": 2, "cursor": first["next_cursor"]}))
        assert rest[what] == ["ä"]
        assert ok(http.get(path, params={"prefix": "a/"}))[what] == ["a/b"]
        refused = http.get(path, params={"cursor": "forged"})
        assert (error_of(refused)["error_code"], refused.status_code) == ("INVALID_COMMAND", 400)
        assert error_of(http.get(path, params={"prefix": "x\n"}))["error_code"] == "INVALID_KEY"


def test_rows(gateway: Gateway, tenant: str) -> None:
    http, path = gateway.http, f"/v1/rows/{tenant}/dev/people"
    for name, age in (("ann", 36), ("ben", 17), ("a%2Fb", 50)):
        ok(http.put(f"{path}/{name}", json={"age": age}))
    row = http.get(f"{path}/ann")
    assert ok(row)["data"] == {"age": 36}
    assert ok(http.get(f"{path}/a%2Fb"))["key"] == "a/b"
    found = ok(
        http.post(
            f"/v1/queries/{tenant}/dev/people",
            json={
                "filters": [{"column": "age", "op": "ge", "value": 18}],
                "order_by": "age",
                "allow_scan": True,
            },
        )
    )
    assert [each["key"] for each in found["rows"]] == ["ann", "a/b"]
    kept = http.put(f"{path}/ann", json={"age": 37}, headers={"If-None-Match": "*"})
    assert kept.status_code == 412
    ok(http.put(f"{path}/ann", json={"age": 37}, headers={"If-Match": row.headers["etag"]}))
    gone = http.delete(f"{path}/ann", headers={"If-Match": row.headers["etag"]})
    assert gone.status_code == 412
    ok(http.delete(f"{path}/ann"))
    assert http.get(f"{path}/ann").status_code == 404


def test_points(gateway: Gateway, tenant: str) -> None:
    points = [
        {"series": "cpu", "timestamp": f"2026-01-31T12:00:0{n}Z", "value": n, "labels": {"h": "a"}}
        for n in range(4)
    ]
    assert ok(gateway.http.post(f"/v1/points/{tenant}/dev", json={"points": points}))["points"] == 4
    query = {"start": "2026-01-31T12:00:00Z", "end": "2026-01-31T12:01:00Z", "aggregation": "sum"}
    found = ok(gateway.http.post(f"/v1/point-queries/{tenant}/dev/cpu", json=query))
    assert [window["value"] for window in found["windows"]] == [6.0]


def test_a_stream_is_followed_as_server_sent_events(gateway: Gateway, tenant: str) -> None:
    path, seen = f"/v1/streams/{tenant}/dev/followed", list[dict[str, Any]]()
    for n in range(3):
        ok(gateway.http.post(path, json={"type": "t", "data": {"n": n}}))

    def follow() -> None:
        headers = {"Last-Event-ID": "1"}
        with httpx.stream("GET", f"{gateway.base}{path}/tail", headers=headers) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    seen.append(json.loads(line.removeprefix("data: ")))
                if len(seen) == 3:
                    return

    reader = threading.Thread(target=follow)
    reader.start()
    wait_until(lambda: len(seen) == 2, "what was there is told")
    ok(gateway.http.post(path, json={"type": "t", "data": {"n": 3}}))
    reader.join(60)
    assert [event["version"] for event in seen] == [2, 3, 4]


def test_five_hundred_commands_in_one_call(gateway: Gateway, tenant: str) -> None:
    scope = {"tenant_id": tenant, "env": "dev"}
    commands = [
        {"op": "tabular_store.upsert", **scope, "table_name": "many", "key": f"k{n}", "data": {}}
        for n in range(500)
    ]
    commands[250] = {"op": "tabular_store.upsert", **scope, "key": "bad"}
    results = ok(gateway.http.post("/v1/commands", json={"commands": commands}))["results"]
    states = [result["state"] for result in results]
    assert states[250] == "refused"
    assert states.count("done") == 499
    assert results[250]["error"]["error_code"] == "INVALID_COMMAND"


def test_routes_are_set_switched_locked_and_told_of(gateway: Gateway) -> None:
    http, route = gateway.http, "object_store/t_routed/dev"
    missing = http.get(f"/v1/routes/{route}")
    assert (error_of(missing)["error_code"], missing.status_code) == ("NOT_FOUND", 404)
    body = {"backend_type": "filesystem", "config": {"base_dir": "var/a"}, "reason": "first"}
    ann, ben = {"X-Actor": "ann"}, {"X-Actor": "ben"}
    made = http.put(f"/v1/routes/{route}", json=body, headers=ann | {"If-None-Match": "*"})
    assert ok(made)["updated_by"] == "ann"
    assert os.path.isabs(made.json()["config"]["base_dir"])
    lock = ok(http.put(f"/v1/locks/{route}", json={"reason": "moving", "ttl": 60}, headers=ann))
    moved = body | {"config": {"base_dir": "var/b"}, "reason": "second"}
    there = http.put(f"/v1/routes/{route}", json=moved, headers=ann)
    assert (error_of(there)["error_code"], there.status_code) == ("ROUTE_EXISTS", 409)
    assert "/switch" in error_of(there)["next_step"]
    refused = http.post(f"/v1/routes/{route}/switch", json=moved, headers=ben)
    assert (error_of(refused)["error_code"], refused.status_code) == ("ROUTE_LOCKED", 423)
    stale = http.post(
        f"/v1/routes/{route}/switch", json=moved, headers=ann | {"If-Match": '"999999"'}
    )
    assert error_of(stale)["error_code"] == "CONFLICT"
    held = moved | {"lock_token": lock["token"]}
    now = {"If-Match": made.headers["etag"]}
    ok(http.post(f"/v1/routes/{route}/switch", json=held, headers=ann | now))
    assert ok(http.get(f"/v1/locks/{route}"))["owner"] == "ann"
    ok(http.delete(f"/v1/locks/{route}", params={"reason": "done"}, headers=ann))
    assert http.get(f"/v1/locks/{route}").status_code == 404
    assert ok(http.get(f"/v1/routes/{route}/drain"))["waited_for"] == 0
    listed = ok(http.get("/v1/routes/object_store", params={"tenant": "t_routed"}))
    assert len(listed["routes"]) == 1
    ok(http.delete(f"/v1/routes/{route}", params={"reason": "over"}, headers=ann))
    kinds = [e["type"].rpartition(".")[2] for e in history(http, route)]
    assert kinds == [
        *("set", "locked", "refused", "refused", "refused", "switched", "unlocked", "deleted"),
    ]
    events = ok(http.get("/v1/audit", params={"tenant": "t_routed"}))
    assert len(events["events"]) == len(kinds)


def history(http: httpx.Client, route: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ok(http.get(f"/v1/routes/{route}/history"))["events"]
    return found


def test_a_route_is_set_once_under_its_key(gateway: Gateway) -> None:
    body = {"resource_kind": "object_store", "backend_type": "filesystem"}
    body |= {"config": {"base_dir": "var/c"}}  # type: ignore[dict-item]
    headers = {"X-Tenant-Id": "t_once", "Idempotency-Key": "route-1"}
    for _ in range(2):
        ok(gateway.http.post("/routing/routes", json=body, headers=headers))
    [event] = history(gateway.http, "object_store/t_once/dev")
    assert event["data"]["reason"] == "POST /routing/routes"


def test_the_first_call_sets_or_switches(gateway: Gateway) -> None:
    body = {"resource_kind": "object_store", "backend_type": "filesystem"}
    for folder in ("var/e", "var/f", "var/f"):
        config = {"config": {"base_dir": folder}}
        route = ok(
            gateway.http.post(
                "/routing/routes", json=body | config, headers={"X-Tenant-Id": "t_flips"}
            )
        )
        assert route["config"]["base_dir"].endswith(folder)
    events = history(gateway.http, "object_store/t_flips/dev")
    assert [event["type"].rpartition(".")[2] for event in events] == ["set", "switched"]


def test_a_relative_folder_stays_in_the_gateways(gateway: Gateway) -> None:
    body = {"resource_kind": "object_store", "backend_type": "filesystem"}
    for folder in ("../out", "a/../../out"):
        refused = gateway.http.post(
            "/routing/routes",
            json=body | {"config": {"base_dir": folder}},
            headers={"X-Tenant-Id": "t_out"},
        )
        assert error_of(refused)["error_code"] == "INVALID_ROUTE_CONFIG"


def test_policies(gateway: Gateway) -> None:
    http = gateway.http
    assert http.get("/v1/policies/t_ruled").status_code == 404
    body = {"terms": {"mode": "saas"}, "reason": "sold"}
    made = http.put("/v1/policies/t_ruled", json=body, headers={"If-None-Match": "*"})
    assert ok(made)["terms"]["mode"] == "saas"
    assert (
        http.put("/v1/policies/t_ruled", json=body, headers={"If-Match": '"1"'}).status_code == 409
    )
    assert "t_ruled" in [p["tenant_id"] for p in ok(http.get("/v1/policies"))["policies"]]
    route = {"backend_type": "filesystem", "config": {"base_dir": "var/d"}, "reason": "no"}
    refused = http.put("/v1/routes/object_store/t_ruled/dev", json=route)
    assert error_of(refused)["error_code"] == "FORBIDDEN_BACKEND_CLASS"


def test_dead_letters_are_shown_replayed_and_purged(gateway: Gateway) -> None:
    http = gateway.http
    body = {"commands": [
        {"op": "object_store.put", "tenant_id": "t_dead", "env": "dev", "key": f"k{n}",
         "op_id": f"dead-{n}", "payload": {"type": "inline", "data": "c2VjcmV0"}}
        for n in range(2)
    ]}  # fmt: skip
    results = ok(http.post("/v1/commands", json=body))["results"]
    assert [r["state"] for r in results] == ["failed", "failed"]
    listed = ok(http.get("/v1/dead-letters", params={"tenant": "t_dead"}))["dead_letters"]
    assert {letter["error"]["code"] for letter in listed} == {"ROUTE_NOT_FOUND"}
    shown = http.get("/v1/dead-letters/t_dead/dev/dead-0")
    assert "c2VjcmV0" not in shown.text
    assert ok(shown)["can_be_replayed"] is True
    gateway.routes("t_dead", ResourceKind.OBJECT_STORE)
    replayed = ok(http.post("/v1/dead-letters/replay", json={"refs": ["t_dead/dev/dead-0"]}))
    assert replayed["replayed"] == 1
    wait_until(
        lambda: (
            http.get("/v1/outcomes/t_dead/dev/dead-0").json()["outcome"] is not None
            and http.get("/v1/objects/t_dead/dev/k0").content == b"secret"
        ),
        "it is stored",
    )
    purged = ok(http.post("/v1/dead-letters/purge", json={"tenant_id": "t_dead"}))
    assert purged["purged"] == 1
    nothing = http.post("/v1/dead-letters/purge", json={})
    assert error_of(nothing)["error_code"] == "INVALID_COMMAND"


def test_diagnostics_and_status(gateway: Gateway, tenant: str) -> None:
    found = ok(gateway.http.post(f"/v1/diagnostics/{tenant}/dev?kind=object_store"))
    [route] = found["routes"]
    assert route["probe"]["error"] is None
    assert "cost_this_month" in route
    its = ok(gateway.http.get("/v1/status"))
    assert len(its["workers"]) == 2
    assert "tabular_store.upsert" in ok(gateway.http.get("/v1/schemas"))


def test_links(gateway: Gateway, tenant: str) -> None:
    uri = ok(gateway.http.get(f"/v1/uri/{tenant}/dev/a/b"))["uri"]
    assert uri.startswith("filesystem:///")
    refused = gateway.http.post(f"/v1/presign-get/{tenant}/dev", json={"key": "k"})
    assert (error_of(refused)["error_code"], refused.status_code) == ("UNSUPPORTED_OPERATION", 501)
    ok(gateway.http.put(f"/v1/objects/{tenant}/dev/uploaded", content=b"x"))
    record = ok(gateway.http.post(f"/v1/register/{tenant}/dev", json={"key": "uploaded"}))
    assert record["size"] == 1


def test_it_is_ready_while_a_worker_runs(gateway: Gateway) -> None:
    wait_until(lambda: gateway.http.get("/readyz").status_code == 200, "a worker gave a sign")
    assert len(ok(gateway.http.get("/readyz"))["workers"]) == 2


def test_a_program_in_javascript_stores_reads_and_routes(gateway: Gateway, tmp_path: Path) -> None:
    if shutil.which("node") is None:
        absent("the gateway from JavaScript", "install node 20 or newer")
    lines = [line for line in NODE.read_text().splitlines() if line and line[:2] != "//"]
    assert len(lines) <= 22
    result = subprocess.run(
        ["node", str(NODE), gateway.base, str(tmp_path)], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == ["hello from node", "36 done"]


def test_it_is_not_ready_while_the_state_redis_is_frozen(gateway: Gateway) -> None:
    redis = gateway.running.stack.redis.pid
    os.kill(redis, signal.SIGSTOP)
    try:
        wait_until(lambda: gateway.http.get("/readyz").status_code == 503, "it is told")
        assert gateway.http.get("/healthz").status_code == 200
    finally:
        os.kill(redis, signal.SIGCONT)
    wait_until(lambda: gateway.http.get("/readyz").status_code == 200, "it is ready again")


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: threads are bound to a core")
def test_its_threads_are_kept_on_one_core(gateway: Gateway) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("NOT TESTED: threads on one core (needs two)")
    served = gateway.running.stack.gateway
    assert served is not None
    # Bound for a second at a time, and free for a hundredth of one.
    wait_until(lambda: len(os.sched_getaffinity(served.pid)) == 1, "it is bound to one core")
