"""AutomationClient against a real HTTP server."""

import threading
import time
import traceback
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from aiworkflows.automation_client import AutomationClient
from aiworkflows.client_errors import (
    AutomationError,
    ConflictError,
    ConnectionCutError,
    DeadlineExceededError,
    EventGapError,
    InvalidRequestError,
    NotAuthenticatedError,
    NotFoundError,
    NotPermittedError,
    ServiceFailedError,
    ThrottledError,
    UnexpectedAnswerError,
    UnreachableError,
)
from tests.aiworkflows.automation_stub import Asked, Reply, Script, Stub, automation_stub, free_port

TOKEN = "ops_a-token-that-nobody-may-see"
Serve = Callable[[Script], tuple[AutomationClient, Stub]]
RUN = {"id": 7, "status": "queued", "plan_hash": "abc", "last_seq": 1}


def event(seq: int, **fields: Any) -> dict[str, Any]:
    return {"seq": seq, "at": "2026-01-01T00:00:00Z", "kind": "step", **fields}


@pytest.fixture
def serve() -> Iterator[Serve]:
    open_stubs = []

    def start(script: Script) -> tuple[AutomationClient, Stub]:
        context = automation_stub(script)
        stub = context.__enter__()
        client = AutomationClient(stub.url, TOKEN, timeout=5)
        open_stubs.append((context, client))
        return client, stub

    yield start
    for context, client in open_stubs:
        client.close()
        context.__exit__(None, None, None)


def scripted(*replies: Reply) -> Script:
    """Answer with each reply in turn, then the last one for ever."""
    turn = count()
    return lambda asked: replies[min(next(turn), len(replies) - 1)]


def test_a_submission_carries_the_token_the_definition_and_an_idempotency_key(serve: Serve) -> None:
    client, stub = serve(scripted(Reply(201, RUN)))
    run = client.submit({"name": "x"}, targets="group:web", parameters={"package": "nginx"}, hold=True)
    assert (run.id, run.status, run.plan_hash) == (7, "queued", "abc")
    [asked] = stub.asked
    assert (asked.method, asked.path) == ("POST", "/api/v1/runs/")
    expected = {
        "definition": {"name": "x"},
        "targets": "group:web",
        "parameters": {"package": "nginx"},
        "hold": True,
    }
    assert asked.body == expected
    assert asked.headers["Authorization"] == f"Bearer {TOKEN}"
    assert len(asked.headers["Idempotency-Key"]) >= 32


def test_a_workflow_is_submitted_by_name(serve: Serve) -> None:
    client, stub = serve(scripted(Reply(201, RUN)))
    client.submit("update-package", version=3, idempotency_key="mine")
    assert stub.asked[0].body == {"workflow": "update-package", "version": 3}
    assert stub.asked[0].headers["Idempotency-Key"] == "mine"


def test_a_run_again_carries_the_secrets_that_are_not_kept_and_is_repeated_with_one_key(
    serve: Serve,
) -> None:
    repeats = {"run": 7, "targets": "failed", "unknown": ["web2"]}
    client, stub = serve(scripted(Reply(cut=0), Reply(201, RUN | {"id": 8, "repeats": repeats})))
    again = client.rerun(7, targets="failed", secrets={"token": "s3cret"}, reason="disk is free now")
    assert (again.id, again.repeats) == (8, repeats)
    assert {asked.path for asked in stub.asked} == {"/api/v1/runs/7/rerun/"}
    assert stub.asked[0].body == {
        "targets": "failed",
        "parameters": {"token": "s3cret"},
        "reason": "disk is free now",
    }
    assert len({asked.headers["Idempotency-Key"] for asked in stub.asked}) == 1


def test_a_submission_cut_in_the_middle_is_repeated_with_the_same_key(serve: Serve) -> None:
    client, stub = serve(scripted(Reply(cut=0), Reply(201, RUN, cut=5), Reply(503, {}), Reply(200, RUN)))
    assert client.submit("update-package").id == 7
    assert len({asked.headers["Idempotency-Key"] for asked in stub.asked}) == 1
    assert len(stub.asked) == 4


@pytest.mark.parametrize("reply", [Reply(cut=0), Reply(200, RUN, cut=3), Reply(503, {"detail": "away"})])
@pytest.mark.parametrize("verb", ["approve", "start", "reject"])
def test_a_decision_that_may_have_arrived_is_never_sent_again(serve: Serve, reply: Reply, verb: str) -> None:
    client, stub = serve(scripted(reply, Reply(200, RUN)))
    with pytest.raises((ConnectionCutError, ServiceFailedError)):
        getattr(client, verb)(7, "abc", "looks right")
    [asked] = stub.asked
    assert (asked.path, asked.body) == (
        f"/api/v1/runs/7/{verb}/",
        {"plan_hash": "abc", "reason": "looks right"},
    )


def test_reads_are_repeated_after_cut_connections_and_passing_failures(serve: Serve) -> None:
    client, stub = serve(scripted(Reply(cut=0), Reply(200, RUN, cut=4), Reply(502, {}), Reply(200, RUN)))
    assert client.status(7).status == "queued"
    assert len(stub.asked) == 4


def test_a_service_that_starts_late_is_found_by_any_call() -> None:
    port = free_port()
    client = AutomationClient(f"http://127.0.0.1:{port}", TOKEN, timeout=10)
    with pytest.raises(UnreachableError) as caught:
        AutomationClient(f"http://127.0.0.1:{port}", TOKEN, timeout=0.3).cancel(7)
    assert caught.value.status is None

    stubs: list[Stub] = []

    def come_up() -> None:
        time.sleep(0.4)
        stubs.append(Stub(scripted(Reply(200, RUN)), port))
        stubs[0].serve_forever(poll_interval=0.01)

    thread = threading.Thread(target=come_up, daemon=True)
    thread.start()
    assert client.cancel(7).id == 7
    client.close()
    stubs[0].shutdown()
    stubs[0].server_close()
    thread.join()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequestError),
        (422, InvalidRequestError),
        (401, NotAuthenticatedError),
        (403, NotPermittedError),
        (404, NotFoundError),
        (409, ConflictError),
        (500, ServiceFailedError),
        (418, InvalidRequestError),
        (302, UnexpectedAnswerError),
    ],
)
def test_each_problem_becomes_its_typed_error_with_all_its_fields(
    serve: Serve, status: int, kind: type[AutomationError]
) -> None:
    problem = {
        "title": "Wrong",
        "status": status,
        "detail": "It is wrong",
        "code": "x.wrong",
        "errors": [{"field": "targets", "message": "unknown group"}],
    }
    client, _ = serve(scripted(Reply(status, problem, {"Content-Type": "application/problem+json"})))
    with pytest.raises(kind) as caught:
        client.propose("update nginx")
    error = caught.value
    assert (error.status, error.title, error.detail, error.code) == (
        status,
        "Wrong",
        "It is wrong",
        "x.wrong",
    )
    assert error.errors[0]["field"] == "targets"
    assert str(error) == "It is wrong [x.wrong]: unknown group"


def test_being_throttled_waits_as_told_and_tries_again(serve: Serve) -> None:
    client, stub = serve(scripted(Reply(429, {}, {"Retry-After": "0.2"}), Reply(200, RUN)))
    began = time.monotonic()
    assert client.cancel(7).id == 7
    assert time.monotonic() - began >= 0.2
    assert len(stub.asked) == 2


def test_a_wait_longer_than_the_deadline_is_not_begun(serve: Serve) -> None:
    client, _ = serve(scripted(Reply(429, {"detail": "slow down"}, {"Retry-After": "60"})))
    began = time.monotonic()
    with pytest.raises(ThrottledError):
        client.status(7)
    assert time.monotonic() - began < 2


def test_a_silent_service_ends_in_a_deadline_and_is_asked_once_for_a_change(serve: Serve) -> None:
    released = threading.Event()

    def script(asked: Asked) -> Reply:
        released.wait(5)
        return Reply(200, RUN)

    _, stub = serve(script)
    with AutomationClient(stub.url, TOKEN, timeout=0.3) as client, pytest.raises(DeadlineExceededError):
        client.approve(7, "abc")
    released.set()
    assert len(stub.asked) == 1


def test_an_answer_that_is_not_json_is_said_to_be_unexpected(serve: Serve) -> None:
    client, _ = serve(scripted(Reply(200, b"<html>a login page</html>")))
    with pytest.raises(UnexpectedAnswerError):
        client.status(7)


def test_lists_are_followed_page_by_page_and_the_token_stays_at_home(serve: Serve) -> None:
    def script(asked: Asked) -> Reply:
        assert asked.path == "/api/v1/targets/"
        if asked.params.get("cursor") == "2":
            row = {"id": 2, "name": "web-2", "groups": [{"id": 1, "name": "web"}], "tags": ["edge"]}
            return Reply(200, {"next": None, "previous": None, "results": [row]})
        link = "http://elsewhere.example/steal/?cursor=2&q=group%3Aweb"
        return Reply(200, {"next": link, "previous": None, "results": [{"id": 1, "name": "web-1"}]})

    client, stub = serve(script)
    names = [(target.name, target.groups) for target in client.targets("group:web")]
    assert names == [("web-1", ()), ("web-2", ("web",))]
    assert [asked.params["q"] for asked in stub.asked] == ["group:web", "group:web"]


def test_events_come_once_and_in_order_over_cut_connections_and_repeats(serve: Serve) -> None:
    story = [event(n) for n in range(1, 8)]
    turn = count()

    def script(asked: Asked) -> Reply:
        n, after = next(turn), int(asked.params["after"])
        if n in {1, 3}:
            return Reply(cut=0)
        if n == 4:
            return Reply(200, {"events": story[after : after + 2], "last": 7, "final": False}, cut=30)
        if n == 5:
            return Reply(503, {})
        pages = story[max(0, after - 1) : after + 2]  # repeats the last one seen
        over = not story[after:]
        return Reply(200, {"events": [] if over else pages, "last": 7, "final": after >= 6})

    client, _ = serve(script)
    assert [e.seq for e in client.events(7)] == [1, 2, 3, 4, 5, 6, 7]


def test_events_resume_after_a_number(serve: Serve) -> None:
    page = {"events": [event(5), event(6)], "last": 6, "final": True}
    client, stub = serve(scripted(Reply(200, page), Reply(200, {"events": [], "last": 6, "final": True})))
    assert [e.seq for e in client.events(7, after=4)] == [5, 6]
    assert [asked.params["after"] for asked in stub.asked] == ["4", "6"]


def test_a_hole_in_the_story_is_raised_and_nothing_after_it_is_delivered(serve: Serve) -> None:
    client, _ = serve(scripted(Reply(200, {"events": [event(1), event(3)], "last": 3, "final": False})))
    events = client.events(7)
    assert next(events).seq == 1
    with pytest.raises(EventGapError):
        next(events)


def test_a_final_page_that_ends_before_the_last_event_is_a_hole(serve: Serve) -> None:
    client, _ = serve(scripted(Reply(200, {"events": [], "last": 4, "final": True})))
    with pytest.raises(EventGapError):
        list(client.events(7, after=2))


def test_events_give_up_when_the_service_stays_away(serve: Serve) -> None:
    client, stub = serve(scripted(Reply(200, {"events": [event(1)], "last": 1, "final": False})))
    events = client.events(7, outage=0.3)
    assert next(events).seq == 1
    stub.script = scripted(Reply(404, {"detail": "gone"}))
    with pytest.raises(NotFoundError):
        next(events)


def test_wait_gives_the_final_run(serve: Serve) -> None:
    states = iter(["queued", "running", "succeeded"])

    def script(asked: Asked) -> Reply:
        if asked.path.endswith("/events/"):
            return Reply(200, {"events": [], "last": 1, "final": False})
        return Reply(200, {**RUN, "status": next(states)})

    client, _ = serve(script)
    assert client.wait(7, 10).status == "succeeded"


def test_wait_ends_at_its_own_time_and_says_how_the_run_stands(serve: Serve) -> None:
    def script(asked: Asked) -> Reply:
        if asked.path.endswith("/events/"):
            time.sleep(min(float(asked.params["wait"]), 1))
            return Reply(200, {"events": [], "last": 1, "final": False})
        return Reply(200, {**RUN, "status": "awaiting_approval"})

    client, _ = serve(script)
    began = time.monotonic()
    with pytest.raises(DeadlineExceededError, match="awaiting_approval"):
        client.wait(7, 0.5)
    assert time.monotonic() - began < 2


def output_script(chunks: list[bytes], states: Iterator[list[dict[str, Any]]]) -> Script:
    """Output that grows by one chunk with each page of events."""
    shown = {"n": 1}

    def script(asked: Asked) -> Reply:
        if asked.path.endswith("/output/"):
            stored = b"".join(chunks[: shown["n"]])
            return Reply(200, stored[int(asked.params["offset"]) :])
        if asked.path.endswith("/events/"):
            shown["n"] += 1
            page = next(states, [])
            return Reply(200, {"events": page, "last": 99, "final": False})
        if asked.path.endswith("/results/"):
            row = {"target": "web-1", "step": "update", "state": "running"}
            return Reply(200, {"next": None, "results": [row]})
        return Reply(200, RUN)

    return script


def test_following_a_log_gives_every_byte_once_until_the_step_is_over(serve: Serve) -> None:
    here = {"target": "web-1", "step": "update"}
    pages = iter(
        [
            [event(2, kind="output", stream="stdout", offset=0, length=6, **here)],
            [event(3, kind="output", stream="stdout", **{**here, "target": "web-2"})],
            [event(4, state="succeeded", **here)],
        ]
    )
    client, _ = serve(output_script([b"one\n", b"two\n", b"", b"three\n"], pages))
    assert b"".join(client.logs(7, "web-1", "update", follow=True)) == b"one\ntwo\nthree\n"


def test_a_log_without_follow_is_what_is_stored(serve: Serve) -> None:
    client, stub = serve(output_script([b"one\n", b"two\n"], iter(())))
    assert b"".join(client.logs(7, "web-1", "update", body="verify", stream="stderr")) == b"one\n"
    asked = stub.asked[-1]
    assert asked.params == {
        "target": "web-1",
        "step": "update",
        "body": "verify",
        "stream": "stderr",
        "offset": "4",
    }


def test_a_log_with_a_dropped_middle_goes_on_where_the_service_says(serve: Serve) -> None:
    def script(asked: Asked) -> Reply:
        if asked.path.endswith("/output/"):
            parts = {"0": (b"head", "900"), "900": (b"tail", "904")}
            content, following = parts.get(asked.params["offset"], (b"", asked.params["offset"]))
            return Reply(200, content, {"X-Next-Offset": following})
        return Reply(200, RUN)

    client, _ = serve(script)
    assert list(client.logs(7, "web-1", "update")) == [b"head", b"tail"]


def test_health_tells_alive_from_ready(serve: Serve) -> None:
    def script(asked: Asked) -> Reply:
        return (
            Reply(200, {"status": "ok"}) if asked.path == "/healthz" else Reply(503, {"detail": "no worker"})
        )

    _, stub = serve(script)
    with AutomationClient(stub.url, TOKEN, timeout=0.5) as quick:
        health = quick.health()
    assert (health.alive, health.ready, health.checks["detail"]) == (True, False, "no worker")
    with AutomationClient(f"http://127.0.0.1:{free_port()}", TOKEN, timeout=0.3) as away:
        assert not away.health().alive


@pytest.mark.parametrize("reply", [Reply(cut=0), Reply(500, {"detail": "broken"}), Reply(200, b"text")])
def test_the_token_is_in_no_representation_and_no_error(serve: Serve, reply: Reply) -> None:
    client, _ = serve(scripted(reply))
    with pytest.raises(AutomationError) as caught:
        client.approve(7, "abc")
    text = "".join(traceback.format_exception(caught.value)) + repr(client) + repr(vars(client))
    assert TOKEN not in text
    assert "client" in repr(client).lower()


@pytest.mark.parametrize(
    "url", ["ftp://host", "http://", "http://user:pw@host", "https://host/?token=1", "host"]
)
def test_an_address_that_would_leak_or_lead_nowhere_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        AutomationClient(url, TOKEN)


def test_a_proposal_comes_back_typed_and_is_answered_and_submitted(serve: Serve) -> None:
    proposal = {
        "id": 3,
        "status": "needs_answer",
        "request": "update it",
        "questions": [{"slot": "package", "text": "Which package?", "choices": ["nginx"]}],
    }

    def script(asked: Asked) -> Reply:
        return Reply(201, RUN) if asked.path.endswith("/submit/") else Reply(200, proposal)

    client, stub = serve(script)
    question = client.propose("update it").questions[0]
    assert (question.slot, question.choices) == ("package", ("nginx",))
    client.answer(3, parameters={question.slot: "nginx"}, targets="group:web")
    assert stub.asked[-1].method == "PATCH"
    assert stub.asked[-1].body == {"parameters": {"package": "nginx"}, "targets": "group:web"}
    assert client.submit_proposal(3).id == 7
