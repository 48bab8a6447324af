"""Sending messages from the test page, and its log of everything that passes."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.tab import Tab, put
from tests.support.server import ServerProcess

# What comes back to each template, sent in this order; None for a message without a reply.
DUNENA = {
    "ping": r'"type":"pong"',
    "set": r'"data":{"key":"mykey","ok":true}',
    "get": r'"data":{"key":"mykey","value":"hello"}',
    "del": r'"data":{"key":"mykey","deleted":true}',
    "mset": r'"data":{"stored":2}',
    "mget": r'"data":{"result":{"k1":"v1","k2":"v2","k3":null}}',
    "subscribe": r'"type":"subscribed","data":{"channel":"cache-events"}',
    "unsubscribe": None,
}
OBJECT_STORE = {
    "get": '{"key":"player-position","value":null}',
    "subscribe": None,
    "set": '{"key":"player-position","value":{"x":100,"y":200}}',
    "delete": '{"key":"player-position","value":null}',
    "unsubscribe": None,
}


@pytest.mark.parametrize(
    ("dialect", "protocol", "replies", "probe"),
    [
        ("dunena", "auto", DUNENA, ('{"type":"ping","id":"probe"}', '"id":"probe"')),
        ("dunena", "dunena", DUNENA, ('{"type":"ping","id":"probe"}', '"id":"probe"')),
        ("object store", "auto", OBJECT_STORE, ('{"action":"get","key":"probe"}', "probe")),
        ("object store", "object store", OBJECT_STORE,
         ('{"action":"get","key":"probe"}', "probe")),
        ("object store", "object store at /", OBJECT_STORE,
         ('{"action":"get","key":"probe"}', "probe")),
    ],
)  # fmt: skip
def test_every_template_gets_its_reply(
    tab: Tab,
    dialect: str,
    protocol: str,
    replies: dict[str, str | None],
    probe: tuple[str, str],
) -> None:
    if protocol != "auto":
        tab.speak(protocol)
    group = tab.page.get_by_role("group", name=f"{dialect} messages")
    assert set(group.get_by_role("button").all_text_contents()) == set(replies)
    for name, reply in replies.items():
        tab.clear()
        tab.template(dialect, name).click()
        tab.page.get_by_role("button", name="Send", exact=True).click()
        expect(tab.rows("out")).to_have_count(1)
        if reply is not None:
            expect(tab.rows("in").filter(has_text=reply)).to_have_count(1)
        else:
            # Replies keep their order: once the next one is here, there was none before it.
            tab.send(probe[0])
            expect(tab.rows("in")).to_have_count(1)
            expect(tab.rows("in")).to_contain_text(probe[1])


def test_an_error_in_the_text_is_shown_before_it_is_sent(tab: Tab) -> None:
    send = tab.page.get_by_role("button", name="Send", exact=True)
    verdict = tab.page.locator("#composer-verdict")
    tab.clear()
    tab.message.fill('{"type": "ping"')
    expect(verdict).to_contain_text("JSON")
    expect(tab.message).to_have_attribute("aria-invalid", "true")
    expect(send).to_be_disabled()
    tab.message.press("Control+Enter")

    tab.message.fill('{"type": "ping"}')
    expect(verdict).to_have_text("Valid JSON, 16 bytes")
    tab.message.press("Control+Enter")
    expect(tab.rows("in")).to_contain_text('"pong"')
    expect(tab.rows("out")).to_have_count(1)


def test_a_text_that_is_no_json_can_be_sent_all_the_same(tab: Tab) -> None:
    tab.message.fill("{nonsense")
    tab.page.get_by_role("button", name="Send as it is").click()
    expect(tab.rows("in").filter(has_text='"data":"Invalid JSON"')).to_have_count(1)


def test_a_row_tells_time_direction_and_size(tab: Tab) -> None:
    tab.clear()
    tab.send('{"type": "get", "key": "\\u20ac"}')
    sent, received = tab.rows("out"), tab.rows("in")
    expect(received).to_contain_text("Key contains invalid characters")
    expect(sent.locator("time")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d\.\d{3}$"))
    expect(sent.get_by_role("img", name="sent")).to_be_visible()
    expect(sent).to_contain_text("32 B")
    expect(received.get_by_role("img", name="received")).to_be_visible()
    expect(tab.page.locator("#log-count")).to_have_text("1 in, 1 out")


def test_a_size_is_in_bytes(tab: Tab) -> None:
    tab.clear()
    tab.send('"€"')
    expect(tab.rows("out")).to_contain_text("5 B")


def test_rows_open_one_by_one_and_all_together(tab: Tab) -> None:
    tab.clear()
    tab.send('{"type":"ping","id":1.0}')
    tab.send('{"type":"ping","id":[[],{}]}')
    expect(tab.rows("out")).to_have_count(2)
    first, second = tab.rows("out").nth(0), tab.rows("out").nth(1)
    first.locator("summary").click()
    expect(first.locator("pre")).to_have_text('{\n  "type": "ping",\n  "id": 1.0\n}')
    expect(second.locator("pre")).to_have_count(0)
    tab.page.get_by_role("button", name="Pretty").click()
    expect(second.locator("pre")).to_have_text(
        '{\n  "type": "ping",\n  "id": [\n    [],\n    {}\n  ]\n}'
    )
    tab.page.get_by_role("button", name="Pretty").click()
    expect(tab.page.locator("#log-rows pre").filter(visible=True)).to_have_count(0)


def test_the_filter_looks_at_text_and_source(tab: Tab, shared_server: ServerProcess) -> None:
    card = tab.follow("filtered")
    tab.send('{"type":"ping","id":"one"}')
    tab.send('{"type":"ping","id":"two"}')
    expect(tab.rows("in").filter(has_text='"two"')).to_have_count(1)
    tab.page.get_by_label("Filter messages").fill("ONE")
    expect(tab.rows()).to_have_count(2)
    tab.page.get_by_label("Filter messages").fill("")
    tab.page.get_by_label("Show messages of").select_option(label="live values")
    expect(tab.rows()).to_have_count(0)
    # What arrives while a filter is set is filtered too.
    put(shared_server, "filtered", "fresh")
    card.expect_json("fresh")
    expect(tab.rows("in", "live").filter(has_text='"fresh"')).to_have_count(1)
    expect(tab.rows()).to_have_count(0)


def test_pause_holds_back_and_resume_shows(tab: Tab) -> None:
    tab.clear()
    tab.page.get_by_role("button", name="Pause").click()
    tab.send('{"type":"ping"}')
    resume = tab.page.get_by_role("button", name="Resume (2)")
    expect(resume).to_be_visible()
    expect(tab.rows()).to_have_count(0)
    resume.click()
    expect(tab.rows()).to_have_count(2)


def test_the_log_keeps_the_newest_and_stays_at_the_end(tab: Tab) -> None:
    tab.clear()
    tab.page.evaluate(
        """() => {
          const editor = document.getElementById("composer-text");
          for (let number = 1; number <= 700; number += 1) {
            editor.value = `{"type":"ping","id":${number}}`;
            document.getElementById("composer-send").click();
          }
        }"""
    )
    expect(tab.rows("in").filter(has_text='"id":700}')).to_have_count(1)
    rows = tab.page.locator("#log-rows > *")
    expect(rows).to_have_count(500)
    expect(tab.page.locator("#log-count")).to_have_text("700 in, 700 out")
    expect(rows.last).to_contain_text('"id":700}')
    expect(rows.last).to_be_in_viewport()


def test_a_long_message_is_shown_in_part(tab: Tab, shared_server: ServerProcess) -> None:
    put(shared_server, "long", "x" * 100_000)
    tab.send('{"type":"get","key":"long"}')
    row = tab.rows("in").filter(has_text='"type":"result"')
    expect(row).to_contain_text("100,0")
    row.locator("summary").click()
    expect(row.locator("pre")).to_contain_text(re.compile(r"… and 80,0\d\d more characters"))
