"""The story arrives once, in order and whole, whatever the socket does."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, WebSocketRoute

from tests.browser.run_scripts.conftest import HERE, run

FOLLOW = """
  const taken = [], states = [];
  const connection = new Connection({
    socket: "/ws/runs/1/", events: "/api/events/", after: 0,
    onEvent: (event) => taken.push(event.seq), onBytes: () => {}, onState: (name) => states.push(name),
  });
  connection.start();
  const end = Date.now() + 15000;
  while (taken.length < argument && Date.now() < end) await new Promise((done) => setTimeout(done, 20));
  return { taken, states, gaps: connection.gaps };
"""


def follow(page: Page, count: int) -> dict[str, Any]:
    found: dict[str, Any] = run(page, "Connection", "run_connection.js", FOLLOW, count)
    return found


def answer_events(page: Page, upto: int) -> list[str]:
    """Answer what is asked for by plain requests; the addresses asked."""
    asked: list[str] = []

    def answer(route: Any) -> None:
        asked.append(route.request.url)
        after = int(route.request.url.split("after=")[1].split("&")[0])
        events = [{"seq": seq, "kind": "note"} for seq in range(after + 1, upto + 1)]
        route.fulfill(json={"events": events, "last": upto, "final": False})

    page.route(f"{HERE}/api/events/**", answer)
    return asked


def test_a_gap_is_filled_by_request_and_a_repeat_left_out(scripts: Page) -> None:
    asked = answer_events(scripts, 6)

    def socket(route: WebSocketRoute) -> None:
        route.send('{"kind":"hello","last":6,"final":false}')
        for seq in (1, 2, 2, 5, 6):
            route.send(f'{{"seq":{seq},"kind":"note"}}')

    scripts.route_web_socket("**/ws/runs/1/**", socket)
    found = follow(scripts, 6)
    assert found["taken"] == [1, 2, 3, 4, 5, 6]
    assert found["gaps"] >= 1
    assert "after=2" in asked[0]


def test_after_a_loss_it_goes_on_from_the_last_event(scripts: Page) -> None:
    opened: list[str] = []

    def socket(route: WebSocketRoute) -> None:
        opened.append(route.url)
        after = int(route.url.split("after=")[1])
        route.send('{"kind":"hello","last":4,"final":false}')
        for seq in range(after + 1, after + 3):
            route.send(f'{{"seq":{seq},"kind":"note"}}')
        if len(opened) == 1:
            route.close(code=4408)

    scripts.route_web_socket("**/ws/runs/1/**", socket)
    assert follow(scripts, 4)["taken"] == [1, 2, 3, 4]
    assert [url.split("after=")[1] for url in opened] == ["0", "2"]


def test_without_a_socket_it_asks_for_news(scripts: Page) -> None:
    answer_events(scripts, 3)
    scripts.route_web_socket("**/ws/runs/1/**", lambda route: route.close(code=1011))
    found = follow(scripts, 3)
    assert found["taken"] == [1, 2, 3]
    assert found["gaps"] == 0


def test_who_is_signed_out_is_told_and_not_tried_again(scripts: Page) -> None:
    opened: list[str] = []

    def socket(route: WebSocketRoute) -> None:
        opened.append(route.url)
        route.close(code=4401)

    scripts.route_web_socket("**/ws/runs/1/**", socket)
    found: dict[str, Any] = run(
        scripts, "Connection", "run_connection.js", FOLLOW.replace("15000", "1500"), 1
    )
    assert found["states"] == ["gone"]
    assert len(opened) == 1
