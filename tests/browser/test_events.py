"""The events view of the test page: the stream, channels and the event rate."""

import json
import re

from playwright.sync_api import WebSocketRoute, expect

from tests.browser.conftest import NewTab
from tests.browser.tab import Tab, post, put, remove
from tests.support.server import ServerProcess


def rows(tab: Tab):
    return tab.page.locator("#events-rows .row").filter(visible=True)


def test_every_event_is_shown(blank_tab: Tab, server: ServerProcess) -> None:
    tab = blank_tab.open(server, "events").expect_connected()
    put(server, "k", "grü", ns="app")
    put(server, "brief", 1, ttl=20)
    remove(server, "k?ns=app")
    expect(rows(tab).filter(has_text="expired")).to_have_count(1)
    post(server, "/flush", "{}")
    expect(rows(tab)).to_have_count(5)
    time = r"\d\d:\d\d:\d\d\.\d{3}"
    expect(rows(tab).nth(0)).to_have_text(re.compile(rf"^{time}setappk4 B$"))
    expect(rows(tab).filter(has_text="delete")).to_have_text(re.compile(rf"^{time}deleteappk$"))
    expect(rows(tab).last).to_have_text(re.compile(rf"^{time}cleareverything$"))
    expect(tab.page.locator("#events-count")).to_have_text("5")


def test_the_event_rate_is_counted_and_drawn(blank_tab: Tab, server: ServerProcess) -> None:
    tab = blank_tab.open(server, "events").expect_connected()
    blank = drawn(tab)
    for number in range(30):
        put(server, "k", number)
    peak = tab.page.locator("#events-peak")
    expect(peak).not_to_have_text("0")
    assert 0 < int(peak.text_content() or "") <= 30
    assert drawn(tab) > blank, "there are bars"
    tab.forgive("willReadFrequently")


def drawn(tab: Tab) -> int:
    """How many pixels of the chart have the colour of a bar."""
    return tab.page.evaluate(
        """() => {
          const canvas = document.getElementById("events-chart");
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          const probe = document.createElement("canvas").getContext("2d");
          probe.fillStyle = getComputedStyle(canvas).getPropertyValue("--accent").trim();
          probe.fillRect(0, 0, 1, 1);
          const [red, green, blue] = probe.getImageData(0, 0, 1, 1).data;
          let count = 0;
          for (let at = 0; at < data.length; at += 4) {
            if (data[at] === red && data[at + 1] === green && data[at + 2] === blue) count += 1;
          }
          return count;
        }"""
    )


def test_the_event_stream_can_be_filtered_paused_and_cleared(
    blank_tab: Tab, server: ServerProcess
) -> None:
    tab = blank_tab.open(server, "events").expect_connected()
    for key in ("score", "player", "score"):
        put(server, key, 1)
    remove(server, "player")
    expect(rows(tab)).to_have_count(4)
    tab.page.get_by_label("Filter events").fill("SCO")
    expect(rows(tab)).to_have_count(2)
    tab.page.get_by_label("Filter events").fill("")
    tab.page.get_by_label("Show events of").select_option("delete")
    expect(rows(tab)).to_have_count(1)
    tab.page.get_by_label("Show events of").select_option("")
    tab.button("Pause").click()
    put(server, "held", 1)
    resume = tab.button("Resume (1)")
    expect(resume).to_be_visible()
    expect(rows(tab)).to_have_count(4)
    resume.click()
    expect(rows(tab)).to_have_count(5)
    tab.button("Clear").click()
    expect(rows(tab)).to_have_count(0)


def test_clicking_an_event_shows_its_key(blank_tab: Tab, server: ServerProcess) -> None:
    tab = blank_tab.open(server, "events").expect_connected()
    put(server, "k", {"found": True}, ns="app")
    rows(tab).get_by_role("button", name="k", exact=True).click()
    expect(tab.page.get_by_role("tab", name="Keys")).to_have_attribute("aria-selected", "true")
    expect(tab.detail.title).to_have_text("appk")
    expect(tab.detail.leaf("true")).to_be_visible()
    expect(tab.row("k")).to_have_attribute("aria-selected", "true")


def test_channels_can_be_followed_and_unfollowed(blank_tab: Tab, server: ServerProcess) -> None:
    tab = blank_tab.open(server, "events").expect_connected()
    chips = tab.page.get_by_role("list", name="Followed channels").get_by_role("listitem")
    expect(chips).to_have_text(["cache-events\u00d7"])
    tab.page.get_by_label("Channel", exact=True).fill("news")
    tab.page.keyboard.press("Enter")
    expect(chips).to_have_text(["cache-events\u00d7", "news\u00d7"])
    assert follows(server) == {"auto": 1, "dunena": 2}

    # It is followed after a restart too, and on the next visit.
    server.restart()
    tab.expect_connected()
    tab.page.wait_for_function(
        """async () => (await (await fetch("server")).json()).connections.shown
             .some((one) => one.dialect === "dunena" && one.subscriptions === 2)"""
    )
    tab.open(server, "events").expect_connected()
    expect(chips).to_have_text(["cache-events\u00d7", "news\u00d7"])
    tab.button("Leave news").click()
    tab.page.wait_for_function(
        """async () => (await (await fetch("server")).json()).connections.shown
             .some((one) => one.dialect === "dunena" && one.subscriptions === 1)"""
    )
    tab.button("Leave cache-events").click()
    expect(chips).to_have_count(0)
    put(server, "unseen", 1)
    tab.go("Keys")
    expect(tab.row("unseen")).to_have_count(1)
    tab.go("Events")
    expect(rows(tab)).to_have_count(0)
    tab.page.get_by_label("Channel", exact=True).fill("ünknown")
    tab.page.keyboard.press("Enter")
    problem = tab.page.locator("#channel-problem")
    expect(problem).to_have_text("Channel contains invalid characters")
    tab.forgive_refused()


def open_chat(tab: Tab, server: ServerProcess) -> None:
    """Follow the channel "chat"."""
    tab.open(server, "events").expect_connected()
    tab.page.get_by_label("Channel", exact=True).fill("chat")
    tab.button("Follow").click()
    tab.page.wait_for_function(
        """async () => (await (await fetch("server")).json()).connections.shown
             .some((one) => one.dialect === "dunena" && one.subscriptions === 2)"""
    )


def test_a_message_is_published_and_shown_with_its_exact_payload(
    new_tab: NewTab, server: ServerProcess
) -> None:
    tab = new_tab()
    open_chat(tab, server)
    message = tab.page.get_by_label("Message for the channel")
    message.fill('{"text": "hi", "n": [1.0, 18446744073709551615]}')
    tab.button("Publish").click()
    expect(tab.button("Published")).to_be_visible()
    text = '{"text":"hi","n":[1.0,18446744073709551615]}'
    expect(rows(tab)).to_have_text([re.compile(rf"\d\.\d{{3}}messagechat{re.escape(text)}$")])
    rows(tab).locator("summary").click()
    payload = rows(tab).locator("pre")
    wanted = '{\n  "text": "hi",\n  "n": [\n    1.0,\n    18446744073709551615\n  ]\n}'
    expect(payload).to_have_text(wanted, use_inner_text=False)
    assert tab.copied("Copy message") == text

    # Enter publishes too, and others' messages are shown as well.
    message.fill("null")
    message.press("Enter")
    expect(rows(tab)).to_have_count(2)
    other = new_tab()
    open_chat(other, server)
    other.page.get_by_label("Message for the channel").fill('"from elsewhere"')
    other.button("Publish").click()
    expect(rows(tab).last).to_contain_text('chat"from elsewhere"')
    tab.page.get_by_label("Filter events").fill("elsewhere")
    expect(rows(tab)).to_have_count(1)


def test_a_message_that_cannot_be_published_is_kept_and_the_reason_shown(
    new_tab: NewTab, server: ServerProcess
) -> None:
    tab = new_tab().open(server, "events").expect_connected()
    channel = tab.page.get_by_label("Channel", exact=True)
    message = tab.page.get_by_label("Message for the channel")
    problem = tab.page.locator("#channel-problem")
    tab.button("Publish").click()
    expect(problem).to_have_text("Name a channel first.")
    expect(channel).to_be_focused()
    channel.fill("cache-events")
    tab.button("Publish").click()
    expect(problem).to_have_text("Write a message first.")
    expect(message).to_be_focused()
    message.fill("hi there")
    tab.button("Publish").click()
    expect(problem).to_contain_text("The message is no JSON")
    expect(problem).to_contain_text("A text stands in quotes.")
    message.fill('"hi there"')
    tab.button("Publish").click()
    expect(problem).to_have_text('Channel is reserved: "cache-events"')
    expect(message).to_have_value('"hi there"')
    channel.fill("chat")
    tab.button("Publish").click()
    expect(tab.button("Published")).to_be_visible()
    expect(problem).to_be_hidden()


def test_missed_messages_are_shown_where_they_are_missing(
    new_tab: NewTab, server: ServerProcess
) -> None:
    tab = new_tab()
    # What the server sends to a reader that is too slow for a channel.
    gap = {"channel": "chat", "event": "gap", "data": {"missed": 1200}, "timestamp": 1}

    def pass_on(socket: WebSocketRoute) -> None:
        to_server = socket.connect_to_server()

        def receive(message: str | bytes) -> None:
            if '"event":"message"' in str(message):
                socket.send(json.dumps(gap))
            socket.send(message)

        to_server.on_message(receive)

    tab.page.route_web_socket(re.compile("protocol=dunena"), pass_on)
    open_chat(tab, server)
    tab.page.get_by_label("Message for the channel").fill("1")
    tab.button("Publish").click()
    shown = [re.compile("gapchat1,200 missed$"), re.compile("messagechat1$")]
    expect(rows(tab)).to_have_text(shown)
    expect(tab.page.locator("#events-count")).to_have_text("1")

    server.restart()
    tab.expect_connected()
    expect(rows(tab).last).to_have_text(
        re.compile("gapchatwhat came without a connection was missed$")
    )
    tab.page.get_by_label("Show events of").select_option("gap")
    expect(rows(tab)).to_have_count(2)
    tab.forgive_refused()


def follows(server: ServerProcess) -> dict[str, int]:
    """How much the connections of each dialect follow."""
    from tests.browser.tab import stored_text

    shown = json.loads(stored_text(server, "/server"))["connections"]["shown"]
    return {one["dialect"]: one["subscriptions"] for one in shown}
