"""Copying what a message does for other programs: the menu, and what the programs read."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewTab
from tests.browser.tab import Tab, post, put
from tests.support.command_lines import literals_of_powershell, split_by_c_rules, words_of_cmd
from tests.support.documents import blocks
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

ORIGIN = "http://localhost:3000/"

# What some shell, language or address gives a meaning to, in keys, namespaces and values.
NASTY = [
    "plain",
    'it\'s "so"',
    "100% of %PATH%",
    "!important & <b>|^ (x) `y` $HOME $(id)",
    "line\nbreak\ttab",
    "back\\slash\\",
    '\\"',
    "grün \u20ac \U0001f600 \u2018quoted\u2019",
    "a/b?c#d=e+f",
    "..",
]


@pytest.fixture
def copied(module_tab: Tab, shared_server: ServerProcess):
    """What a program's text for a message is; without a connection of the page.

    Any page of the server will do, also one that an earlier test has used.
    """
    page = module_tab.page
    if not page.url.startswith(f"{shared_server.url}/test"):
        module_tab.open(shared_server)

    def make(program: str, message: object, *, has_token: bool = False) -> str | None:
        text = message if isinstance(message, str) else json.dumps(message)
        return page.evaluate(
            """async ([name, text, place]) => {
              const { PROGRAMS } = await import(new URL("test/lib/snippets.js", location));
              return PROGRAMS.find((program) => program.name === name).make(text, place);
            }""",
            [
                program,
                text,
                {"base": ORIGIN, "address": "ws://localhost:3000/ws", "hasToken": has_token},
            ],
        )

    return make


def name_of(text: str) -> str:
    """The text as a key or namespace, in which no control characters are permitted."""
    return re.sub(r"\s", " ", text)


def set_message(text: str) -> dict[str, object]:
    """A write in which a text stands everywhere that a text can."""
    name = name_of(text)
    value = {text: [text, 1.5, None]}
    return {"action": "set", "key": name, "ns": name, "value": value, "ttl": 60000}


# --- cmd ---


def test_the_rules_of_the_c_library_are_those_that_are_documented() -> None:
    # The table of Microsoft's page "Parsing C command-line arguments".
    assert split_by_c_rules(r'"a b c" d e') == ["a b c", "d", "e"]
    assert split_by_c_rules(r'"ab\"c" "\\" d') == ['ab"c', "\\", "d"]
    assert split_by_c_rules(r'a\\\b d"e f"g h') == [r"a\\\b", "de fg", "h"]
    assert split_by_c_rules(r"a\\\"b c d") == [r"a\"b", "c", "d"]
    assert split_by_c_rules(r'a\\\\"b c" d e') == [r"a\\b c", "d", "e"]


@pytest.mark.parametrize("text", NASTY)
def test_a_write_for_cmd_has_nothing_that_cmd_would_read(copied, text: str) -> None:
    message = set_message(text)
    words = words_of_cmd(copied("cmd", message))
    assert words[0] == "curl"
    body = json.loads(words[words.index("-d") + 1])
    if words[-1] == f"{ORIGIN}txn":
        (op,) = body["ops"]
        assert op == {"op": "set", "key": name_of(text), "value": message["value"], "ttl": 60000}
        assert body["ns"] == name_of(text)
    else:
        assert text == "plain"
        assert words[-1] == f"{ORIGIN}kv/plain?ns=plain&ttl=60000"
        assert words[words.index("-X") + 1] == "PUT"
        assert body == message["value"]


# --- PowerShell ---


@pytest.mark.parametrize("text", NASTY)
def test_a_write_for_powershell_has_only_plain_literals(copied, text: str) -> None:
    message = set_message(text)
    line = copied("PowerShell", message)
    address, content_type, body = literals_of_powershell(line)
    assert line.startswith("Invoke-RestMethod '")
    assert content_type == "application/json"
    if text == "..":
        assert address == f"{ORIGIN}txn"
        (op,) = json.loads(body)["ops"]
        assert (op["key"], op["value"]) == (text, message["value"])
    else:
        assert "-Method PUT" in line
        assert json.loads(body) == message["value"]


def test_the_devices_page_has_the_lines_that_are_copied(copied) -> None:
    counted = {"action": "incr", "key": "match", "path": "/home/score"}
    for program, language in (("cmd", "bat"), ("PowerShell", "powershell")):
        (lines,) = blocks("docs/devices.md", language)
        line = copied(program, counted).replace(ORIGIN, "http://192.168.1.10:3000/")
        assert line in lines.splitlines()


def test_the_token_is_a_placeholder(copied) -> None:
    message = {"action": "set", "key": "k", "value": 1}
    for program in ("curl", "PowerShell", "cmd", "JavaScript", "Python", "Companion"):
        assert "TOKEN" in copied(program, message, has_token=True), program
        assert "TOKEN" not in copied(program, message), program
    line = copied("PowerShell", message, has_token=True)
    assert "Bearer TOKEN" in literals_of_powershell(line)
    assert "Authorization: Bearer TOKEN" in words_of_cmd(copied("cmd", message, has_token=True))


# --- Companion and the Stream Deck ---


def fields_of_companion(text: str) -> dict[str, str]:
    """The fields of the action, by their names."""
    return dict(line.split(": ", 1) for line in text.strip().split("\n"))


@pytest.mark.parametrize("text", NASTY)
def test_a_write_for_companion_is_an_object_without_variables(copied, text: str) -> None:
    message = set_message(text)
    fields = fields_of_companion(copied("Companion", message))
    assert fields["Module"] == "Generic: HTTP Requests"
    assert fields["Action"] == "POST"
    assert fields["Content Type"] == "application/json"
    assert "$(" not in fields["URL"] + fields["Body"], "Companion would put a variable there"
    body = json.loads(fields["Body"])
    op = body["ops"][0] if text == ".." else body
    assert (op["op"], op["value"], op["ttl"]) == ("set", message["value"], 60000)


def test_what_companion_sends_has_always_an_object_for_a_body(copied) -> None:
    # The module sends a text without its quotes, and nothing for null.
    for value in ("text", None, 5, True, [1]):
        fields = fields_of_companion(
            copied("Companion", {"action": "set", "key": "k", "value": value})
        )
        assert json.loads(fields["Body"]) == {"op": "set", "value": value}
    fields = fields_of_companion(
        copied("Companion", {"action": "delete", "key": "k"}, has_token=True)
    )
    assert json.loads(fields["Body"]) == {"op": "delete"}
    assert json.loads(fields["Header"]) == {"Authorization": "Bearer TOKEN"}
    fields = fields_of_companion(copied("Companion", {"action": "get", "key": "k"}))
    assert fields == {"Module": "Generic: HTTP Requests", "Action": "GET", "URL": f"{ORIGIN}kv/k"}


def test_the_address_for_a_stream_deck_has_the_fields_of_the_operation(copied) -> None:
    def address(**message: object) -> str | None:
        return copied("Stream Deck", {"action": "set", "key": "match", **message})

    start = f"{ORIGIN}do/SECRET"
    assert address(value="on") == f"{start}/set/match?value=on"
    assert address(value="3", ns="3") == f"{start}/set/match?value=%223%22&ns=3"
    assert address(value=3, idempotencyKey="once") == f"{start}/set/match?value=3"
    assert address(value="") == f"{start}/set/match?value="
    assert address(value={"a": "it's"}) == f"{start}/set/match?value=%7B%22a%22%3A%22it%27s%22%7D"
    assert (
        address(action="incr", path="/home/score", by=2)
        == f"{start}/incr/match?path=/home/score&by=2"
    )
    assert address(action="timer", do="toggle", key="a b") == f"{start}/timer/a%20b?do=toggle"
    assert address(value=1, ephemeral=True) is None, "no session sends it"
    assert address(action="get") is None


def test_a_key_that_ends_with_a_session_is_written_over_a_websocket(copied) -> None:
    message = {"action": "set", "key": "me", "value": 1, "ephemeral": True}
    for program in ("curl", "PowerShell", "cmd", "Companion", "Stream Deck"):
        assert copied(program, message) is None
        assert copied(program, {**message, "ephemeral": False}) or program == "Stream Deck"
    assert "{ ephemeral: true }" in copied("JavaScript", message)
    assert "ephemeral=True" in copied("Python", message)


# --- the menu ---


def test_the_menu_is_used_by_keyboard(tab: Tab, shared_server: ServerProcess) -> None:
    put(shared_server, "menu", {"x": 1})
    tab.choose("menu")
    button = tab.button("Copy as")
    expect(button).to_have_attribute("aria-expanded", "false")
    button.focus()
    keyboard = tab.page.keyboard
    keyboard.press("ArrowDown")
    expect(button).to_have_attribute("aria-expanded", "true")
    menu = tab.page.get_by_role("menu", name="Copy as")
    setting, reading = menu.get_by_role("group").all()
    expect(setting).to_have_attribute("aria-label", "Set this value")
    expect(reading).to_have_attribute("aria-label", "Read the key")

    def focused(group, name: str) -> None:
        expect(group.get_by_role("menuitem", name=name)).to_be_focused()

    focused(setting, "curl")
    keyboard.press("ArrowRight")
    focused(reading, "curl")
    keyboard.press("ArrowUp")
    focused(setting, "Stream Deck")
    keyboard.press("End")
    focused(reading, "Companion")
    keyboard.press("ArrowDown")
    focused(setting, "curl")
    keyboard.press("p")
    focused(setting, "PowerShell")
    keyboard.press("p")
    focused(setting, "Python")
    keyboard.press("Home")
    keyboard.press("ArrowLeft")
    focused(setting, "curl")

    # Escape closes the menu, and not the key; Tab goes on from the button.
    keyboard.press("Escape")
    expect(menu).to_be_hidden()
    expect(button).to_be_focused()
    expect(tab.detail.title).to_have_text("menu")
    keyboard.press("Enter")
    keyboard.press("Tab")
    expect(menu).to_be_hidden()
    expect(tab.page.locator(".earlier > summary")).to_be_focused()
    button.focus()
    tab.page.evaluate("window.copiedText = null")
    keyboard.press("Enter")
    focused(setting, "curl")
    keyboard.press("Enter")
    expect(tab.button("Copied")).to_be_focused()
    assert tab.page.evaluate("window.copiedText").startswith("curl ")
    expect(button).to_be_visible()  # its label is back


def test_a_click_elsewhere_closes_the_menu(tab: Tab, shared_server: ServerProcess) -> None:
    put(shared_server, "menu", 1)
    tab.choose("menu")
    tab.button("Copy as").click()
    menu = tab.page.get_by_role("menu", name="Copy as")
    expect(menu).to_be_visible()
    tab.page.locator("#detail-title").click()
    expect(menu).to_be_hidden()
    tab.button("Copy as").click()
    expect(menu).to_be_visible()
    tab.button("Copy as").click()
    expect(menu).to_be_hidden()


@pytest.mark.parametrize(
    ("value", "title", "fields"),
    [
        (41, "Add one", {"op": "incr"}),
        (
            {"timer": {"at": 1, "ms": 5000, "rate": -1, "running": False}},
            "Start or stop",
            {"op": "timer", "do": "toggle"},
        ),
    ],
)
def test_a_button_for_a_number_or_a_timer_sends_what_a_press_does(
    new_tab: NewTab,
    start_server: StartServer,
    value: object,
    title: str,
    fields: dict[str, object],
) -> None:
    secret = "a-secret-of-the-show-0123456789"
    server = start_server("--get-writes", secret)
    put(server, "deck", value)
    tab = new_tab().open(server).expect_connected()
    tab.choose("deck")
    made = fields_of_companion(tab.copied_as("Companion", title))
    assert made["URL"] == f"{server.url}/kv/deck"
    assert json.loads(made["Body"]) == fields
    address = tab.copied_as("Stream Deck", title).replace("SECRET", secret)
    assert tab.copied_as("curl", "Set this value").endswith("/kv/deck'")
    for _ in range(2):
        with urllib.request.urlopen(address) as answer:
            assert answer.status == 200
    after = json.loads(stored(server, "deck"))
    assert after == 43 if value == 41 else after["timer"]["running"] is False
    tab.button("Copy as").click()
    groups = tab.page.get_by_role("menu").get_by_role("group")
    for group, name in enumerate((title, "Set this value", "Read the key")):
        expect(groups.nth(group)).to_have_attribute("aria-label", name)
    expect(groups).to_have_count(3)
    for program in ("Companion", "Stream Deck"):
        stale = groups.nth(1).get_by_role("menuitem", name=program)
        expect(stale).to_have_count(0)  # it would set what stands there now


def test_a_key_without_a_value_can_only_be_read(tab: Tab, shared_server: ServerProcess) -> None:
    put(shared_server, "gone", 1)
    tab.choose("gone").button("Delete").click()
    expect(tab.detail.status).to_have_text("Deleted “gone”.")
    tab.button("Copy as").click()
    groups = tab.page.get_by_role("menu").get_by_role("group")
    expect(groups).to_have_count(1)
    expect(groups).to_have_attribute("aria-label", "Read the key")


def test_without_get_writes_the_item_names_the_option(
    tab: Tab, shared_server: ServerProcess
) -> None:
    put(shared_server, "deck", 1)
    tab.choose("deck")
    tab.page.evaluate("window.copiedText = null")
    tab.button("Copy as").click()
    item = tab.page.get_by_role("menuitem", name="Stream Deck")
    expect(item).to_have_text("Stream Deckstart with --get-writes")
    expect(item).to_be_disabled()
    item.dispatch_event("click")
    assert tab.page.evaluate("window.copiedText") is None


# --- what the programs do ---


def run_shell(command: str) -> str:
    """Run a line as somebody pastes it into a terminal; what it printed."""
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, encoding="utf-8", timeout=60, check=True
    )
    return done.stdout


def stored(server: ServerProcess, key: str, ns: str = "") -> str:
    """The JSON that is stored under a key of any characters; short enough for the list of keys."""
    body = json.dumps({"keys": [key], "ns": ns}).encode()
    request = urllib.request.Request(
        f"{server.url}/entries", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as response:
        (entry,) = json.loads(response.read())["entries"]
    return entry["preview"]


@pytest.mark.parametrize("text", NASTY)
def test_curl_writes_and_reads_what_the_page_shows(
    tab: Tab, shared_server: ServerProcess, curl: Path, text: str
) -> None:
    name, value = name_of(text), {text: [text, 1.5, None]}
    tab.go("Console")
    tab.message.fill(json.dumps(set_message(text)))
    assert curl
    run_shell(tab.copied_as("curl"))
    assert json.loads(stored(shared_server, name, name)) == value
    tab.message.fill(json.dumps({"action": "get", "key": name, "ns": name}))
    if text == "..":  # a step in every address
        tab.button("Copy as").click()
        tab.page.get_by_role("menuitem", name="curl", exact=True).click()
        expect(tab.page.locator("#composer-problem")).to_contain_text("No HTTP request")
    else:
        assert json.loads(run_shell(tab.copied_as("curl"))) == value


def test_every_operation_is_copied_with_the_same_effect(
    tab: Tab, shared_server: ServerProcess, curl: Path
) -> None:
    tab.go("Console")
    put(shared_server, "op", {"n": 1, "list": [1]})
    put(shared_server, "op-text", "old")
    for message in (
        {"action": "merge", "key": "op", "value": {"on": True}},
        {"action": "incr", "key": "op", "path": "/n", "by": 2, "idempotencyKey": "once"},
        {"action": "incr", "key": "op", "path": "/n", "idempotencyKey": "once"},
        {"action": "append", "key": "op", "path": "/list", "value": "x", "id": 1},
        {"action": "patch", "key": "op", "patch": [{"op": "remove", "path": "/list/0"}]},
        {"type": "set", "key": "op-text", "value": "new", "then": "later", "ttl": 600000},
        {"type": "txn", "ops": [{"op": "set", "key": "op-txn", "value": 5}], "ns": "app"},
        {"action": "touch", "key": "op", "ttl": 60000},
    ):
        tab.message.fill(json.dumps(message))
        answer = run_shell(tab.copied_as("curl"))
        assert '"rev"' in answer, message
        assert '"duplicate"' not in answer, "a program runs more than once"
    read = {
        json.dumps({"action": "get", "key": "op"}): '{"n":4,"list":["x"],"on":true}',
        json.dumps({"type": "get", "key": "op-text"}): '"new"',
        json.dumps({"type": "get", "key": "op-txn", "ns": "app"}): "5",
        json.dumps({"action": "delete", "key": "op"}): "",
        json.dumps({"action": "get", "key": "op"})
        + " ": '{"error":"Key not found","code":"no_key","key":"op"}',
    }
    for message, answer in read.items():
        tab.message.fill(message)
        assert run_shell(tab.copied_as("curl")) == answer, message
    tab.message.fill('{"action":"history","key":"op-text","limit":1}')
    assert '"value":"new"' in run_shell(tab.copied_as("curl"))
    tab.message.fill('{"type":"publish","channel":"news","data":"it\'s"}')
    assert run_shell(tab.copied_as("curl")) == ""


def test_what_cmd_and_powershell_and_companion_send_is_accepted(
    copied, shared_server: ServerProcess
) -> None:
    for text in NASTY:
        for program, number in (("cmd", 1), ("PowerShell", 2), ("Companion", 3)):
            message = {**set_message(text), "value": [text, number]}
            made = copied(program, message)
            if program == "cmd":
                words = words_of_cmd(made)
                method = words[words.index("-X") + 1] if "-X" in words else "POST"
                address, body = words[-1], words[words.index("-d") + 1]
            elif program == "PowerShell":
                address, _, body = literals_of_powershell(made)
                method = re.findall(r"-Method (\w+)", made)[0]
            else:
                fields = fields_of_companion(made)
                method, address, body = fields["Action"], fields["URL"], fields["Body"]
            send(shared_server, method, address, body)
            assert stored(shared_server, name_of(text), name_of(text)) == json.dumps(
                [text, number], separators=(",", ":"), ensure_ascii=False
            )


def send(server: ServerProcess, method: str, address: str, body: str) -> None:
    """Send what a program would."""
    request = urllib.request.Request(
        address.replace(ORIGIN, f"{server.url}/"),
        body.encode(),
        {"Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request) as response:
        assert response.status in (200, 201, 204)


@pytest.mark.parametrize("text", NASTY)
def test_the_clients_programs_write_the_same(
    tab: Tab, shared_server: ServerProcess, text: str
) -> None:
    tab.go("Console")
    for number, program in enumerate(("Python", "JavaScript")):
        tab.message.fill(json.dumps({**set_message(text), "value": [text, number]}))
        made = tab.copied_as(program)
        if program == "Python":
            assert "dunena.sync.connect" in made
            command = [sys.executable, "-X", "utf8", "-c", made]
            done = subprocess.run(command, capture_output=True, encoding="utf-8")
            assert done.returncode == 0, done.stderr
        else:
            assert "await store.set(" in made
            # A module may begin with imports, what is evaluated here may not.
            made = re.sub(r"import (.*) from (.*);", r"const \1 = await import(\2);", made)
            tab.page.evaluate(f"(async () => {{ {made} store.close(); }})()")
        wanted = json.dumps([text, number], separators=(",", ":"), ensure_ascii=False)
        assert stored(shared_server, name_of(text), name_of(text)) == wanted


def test_the_clients_programs_read_and_call_operations(
    tab: Tab, shared_server: ServerProcess
) -> None:
    put(shared_server, "read", {"a": [True, None]})
    tab.choose("read")
    made = tab.copied_as("Python", "Read the key")
    environment = {**os.environ, "PYTHONUTF8": "1"}
    run = [sys.executable, "-c"]
    done = subprocess.run([*run, made], capture_output=True, encoding="utf-8", env=environment)
    assert done.stdout.strip() == "{'a': [True, None]}"
    tab.go("Console")
    for message, wanted in (
        (
            {"action": "merge", "key": "read", "value": {"b": "it's"}},
            '{"a":[true,null],"b":"it\'s"}',
        ),
        (
            {"action": "patch", "key": "read", "patch": [{"op": "remove", "path": "/a"}]},
            '{"b":"it\'s"}',
        ),
        ({"action": "incr", "key": "read", "path": "/n", "ifRev": 0}, None),
        ({"action": "incr", "key": "read", "path": "/n", "max": 9}, '{"b":"it\'s","n":1}'),
        ({"action": "revert", "key": "read", "toRev": 1}, None),
    ):
        tab.message.fill(json.dumps(message))
        made = tab.copied_as("Python")
        done = subprocess.run([*run, made], capture_output=True, encoding="utf-8", env=environment)
        assert (done.returncode == 0) == (wanted is not None), done.stderr
        assert "TypeError" not in done.stderr
        if wanted is not None:
            assert stored(shared_server, "read") == wanted


def test_a_stream_deck_gets_an_address_that_writes(
    new_tab: NewTab, start_server: StartServer
) -> None:
    server = start_server("--get-writes", "a-secret-of-the-show-0123456789")
    put(server, "deck", {"on": True, "text": "100% \u20ac & it's"})
    tab = new_tab().open(server).expect_connected()
    tab.choose("deck")
    made = tab.copied_as("Stream Deck")
    assert "a-secret" not in made
    put(server, "deck", "other")
    with urllib.request.urlopen(
        made.replace("SECRET", "a-secret-of-the-show-0123456789")
    ) as answer:
        assert answer.status == 200
    assert json.loads(stored(server, "deck")) == {"on": True, "text": "100% \u20ac & it's"}


def test_what_is_written_in_the_editor_can_be_copied_before_it_is_set(
    tab: Tab, shared_server: ServerProcess, curl: Path
) -> None:
    assert curl
    post(shared_server, "/flush", "{}")
    tab.button("New key").click()
    tab.page.get_by_label("Key", exact=True).fill("drafted")
    tab.page.get_by_label("Namespace", exact=True).fill("show")
    tab.detail.editor.fill('{"n" 1}')
    tab.button("Copy as").click()
    expect(tab.page.get_by_role("menu")).to_be_hidden()  # the editor shows the mistake
    tab.detail.editor.fill('{"n": 1.0}')
    tab.detail.root.locator(".editor").get_by_label("Expires").select_option("in 1 hour")
    made = tab.copied_as("curl", "Set what is written")
    assert made.endswith("/kv/drafted?ns=show&ttl=3600000'")
    run_shell(made)
    assert stored(shared_server, "drafted", "show") == '{"n":1.0}'
    expect(tab.detail.editor).to_have_value('{"n": 1.0}')
    tab.button("Cancel").click()


def test_a_message_to_a_channel_can_be_copied(tab: Tab, shared_server: ServerProcess) -> None:
    tab.go("Events")
    tab.page.get_by_label("Channel", exact=True).fill("copied")
    tab.button("Follow").click()
    tab.page.get_by_label("Message for the channel").fill('{"text": "it\'s"}')
    run_shell(tab.copied_as("curl", "Publish this"))
    shown = tab.page.locator("#events-rows .row").filter(has_text='copied{"text":"it\'s"}')
    expect(shown).to_have_count(1)
    tab.button("Leave copied").click()


def test_a_menu_that_cannot_be_loaded_names_the_reason(
    new_tab: NewTab, server: ServerProcess
) -> None:
    put(server, "k", 1)
    tab = new_tab().open(server).expect_connected()
    tab.choose("k")
    server.stop()
    tab.button("Copy as").click()
    expect(tab.detail.problem).to_have_text("The server cannot be reached.")
    expect(tab.page.get_by_role("menu")).to_have_count(0)
    tab.page.goto("about:blank")  # which ends its attempts to connect again
    tab.problems.clear()  # a browser's console says of each request that it failed
