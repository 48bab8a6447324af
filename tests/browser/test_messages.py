"""The console of the test page: sending messages, and its log."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewTab
from tests.browser.tab import Tab, put, remove, stored_text
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

# What comes back to each template, sent in this order; None for a message without a reply.
DUNENA = {
    "ping": r'"type":"pong"',
    "set": r'"data":{"key":"example","ok":true}',
    "get": r'"data":{"key":"example","value":"hello"}',
    "del": r'"data":{"key":"example","deleted":true}',
    "mset": r'"data":{"stored":2}',
    "mget": r'"data":{"result":{"example-1":"v1","example-2":"v2","example-3":null}}',
    "subscribe": r'"type":"subscribed","data":{"channel":"cache-events"}',
    "unsubscribe": None,
    "create": '"data":{"key":"example-new","rev":',
    "merge": '"data":{"key":"example-object","rev":',
    "patch": '"data":{"key":"example-object","rev":',
    "incr": '"data":{"key":"example-number","rev":',
    "append": '"data":{"key":"example-list","rev":',
    "touch": '"data":{"key":"example-object","rev":',
    "timer": '"ms":300000,"rate":-1,"running":false}',
    "txn": '"results":[{"rev":',
    "history": '"value":{"title":{"name":"Ada"},"on":true}',
    "revert": '"timestamp":',  # an error, unless a value stood there for a second
    "watch": '"data":{"pattern":"example-*","epoch":',
    "watch keys": '"data":{"keys":["example-object","example-number"],"epoch":',
    "watch path": '"data":{"key":"example-object","path":"/title/name","epoch":',
    "unwatch": None,
    "publish": '"type":"result","data":{"channel":"example"}',
    "session": '"resumed":false,"timeout":10000,"grace":5000,"timestamp":',
    "ephemeral": '"data":{"key":"example-me","rev":',
}
OBJECT_STORE = {
    "get": '{"key":"example","value":null}',
    "subscribe": None,
    "set": '{"key":"example","value":{"x":100,"y":200}}',
    "delete": '{"key":"example","value":null}',
    "unsubscribe": None,
    "ping": '{"pong":{"timestamp":',
    "create": '{"result":{"key":"example-new","rev":',
    "merge": '{"result":{"key":"example-object","rev":',
    "patch": '{"result":{"key":"example-object","rev":',
    "incr": '{"result":{"key":"example-number","rev":',
    "append": '{"result":{"key":"example-list","rev":',
    "touch": '{"result":{"key":"example-object","rev":',
    "timer": '"ms":300000,"rate":-1,"running":false}',
    "txn": '"results":[{"rev":',
    "history": '"value":{"title":{"name":"Ada"},"on":true}',
    "revert": '"id":1}',
    "watch": '{"update":{"pattern":"example-*","epoch":',
    "watch keys": '{"update":{"keys":["example-object","example-number"],"epoch":',
    "watch path": '{"update":{"key":"example-object","path":"/title/name","epoch":',
    "unwatch": None,
    "publish": '{"result":{"channel":"example"},"id":1}',
    "subscribe channel": '{"subscribed":{"channel":"example"},"id":1}',
    "session": '"resumed":false,"timeout":10000,"grace":5000,"timestamp":',
    "ephemeral": '{"result":{"key":"example-me","rev":',
}
DESCRIPTION = Path(__file__).parents[2] / "docs" / "asyncapi.json"


@pytest.fixture
def tab(tab: Tab) -> Tab:  # the one of all tests, with another view
    return tab.go("Console")


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
def test_every_message_template_gets_its_reply(
    tab: Tab,
    shared_server: ServerProcess,
    dialect: str,
    protocol: str,
    replies: dict[str, str | None],
    probe: tuple[str, str],
) -> None:
    remove(shared_server, "example-new")
    if protocol != "auto":
        tab.speak(protocol)
    group = tab.page.get_by_role("group", name=f"{dialect} messages")
    assert set(group.get_by_role("button").all_text_contents()) == set(replies)
    tab.button("Clear").click()
    for name in replies:
        tab.template(dialect, name).click()
        tab.button("Send").click()
    tab.send(probe[0])  # replies keep their order: no other one is before this one's
    expect(tab.frames("out")).to_have_count(len(replies) + 1)
    wanted = [reply for reply in [*replies.values(), probe[1]] if reply is not None]
    answers = tab.frames("in").filter(has_not_text='"channel":"cache"')  # without the events
    expect(answers).to_have_text([re.compile(re.escape(reply)) for reply in wanted])


@pytest.mark.parametrize(
    ("dialect", "schema", "name_field"),
    [("dunena", "request", "type"), ("object store", "action", "action")],
)
def test_every_documented_message_has_a_template(
    tab: Tab, dialect: str, schema: str, name_field: str
) -> None:
    groups = tab.page.evaluate(
        "async () => (await import(new URL('test/net/messages.js', location))).TEMPLATES"
    )
    (messages,) = (
        list(group["messages"].values()) for group in groups if group["dialect"] == dialect
    )
    schemas = json.loads(DESCRIPTION.read_text("utf-8"))["components"]["schemas"]
    names = schemas[schema]["properties"][name_field]["enum"]
    assert {message[name_field] for message in messages} == set(names)
    # What is sent by accident touches nothing that a show uses.
    texts = re.findall(r'"(?:key|keys|ns|pattern)": ?("[^"]*"|\[[^\]]*\])', json.dumps(messages))
    used = [name for text in texts for name in re.findall('"([^"]*)"', text)]
    assert used
    assert [name for name in used if not name.startswith("example")] == []
    assert {name for message in messages for name in message} > {"then", "ifRev", "idempotencyKey"}
    # A watch has many forms: all its fields are in one template or another.
    watches = [message for message in messages if message[name_field] == "watch"]
    wanted = {"key", "keys", "path", *schemas["watchFields"]["properties"]}
    assert {name for message in watches for name in message} - {name_field, "id"} == wanted


def test_a_syntax_error_in_a_message_is_shown_before_sending(tab: Tab) -> None:
    send = tab.button("Send")
    verdict = tab.page.locator("#composer-actions").get_by_role("status")
    tab.button("Clear").click()
    tab.message.fill('{"type": "ping"')
    expect(verdict).to_have_text('Line 1, column 16: "," or "}" is missing')
    expect(tab.message).to_have_attribute("aria-invalid", "true")
    expect(send).to_be_disabled()
    tab.message.press("Control+Enter")

    tab.message.fill('{"type": "ping"}')
    expect(verdict).to_have_text("Valid JSON, 16 bytes")
    tab.message.press("Control+Enter")
    # Keys of other tests may expire meanwhile, which the console shows too.
    expect(tab.frames("in").filter(has_text='"pong"')).to_have_count(1)
    expect(tab.frames("out")).to_have_count(1)


def test_a_message_that_is_no_json_can_be_sent(tab: Tab) -> None:
    tab.message.fill("{nonsense")
    tab.page.get_by_role("button", name="Send as it is").click()
    expect(tab.frames("in").filter(has_text='"data":"Invalid JSON"')).to_have_count(1)


def test_a_log_row_shows_time_direction_and_size(tab: Tab) -> None:
    tab.button("Clear").click()
    tab.send('{"type": "get", "key": "\\u20ac"}')
    sent, received = tab.frames("out"), tab.frames("in")
    expect(received).to_contain_text("Key contains invalid characters")
    expect(sent.locator("time")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d\.\d{3}$"))
    expect(sent.get_by_role("img", name="sent")).to_be_visible()
    expect(sent).to_contain_text("32 B")
    expect(received.get_by_role("img", name="received")).to_be_visible()
    expect(tab.page.locator("#log-count")).to_have_text("1 in, 1 out")


def test_the_size_of_a_message_is_in_bytes(tab: Tab) -> None:
    tab.button("Clear").click()
    tab.send('"€"')
    expect(tab.frames("out")).to_contain_text("5 B")


def test_log_rows_open_singly_and_all_together(tab: Tab) -> None:
    tab.button("Clear").click()
    tab.send('{"type":"ping","id":1.0}')
    tab.send('{"type":"ping","id":[[],{}]}')
    expect(tab.frames("out")).to_have_count(2)
    first, second = tab.frames("out").nth(0), tab.frames("out").nth(1)
    first.locator("summary").click()
    expect(first.locator("pre")).to_have_text('{\n  "type": "ping",\n  "id": 1.0\n}')
    expect(second.locator("pre")).to_have_count(0)
    tab.page.get_by_role("button", name="Pretty").click()
    expect(second.locator("pre")).to_have_text(
        '{\n  "type": "ping",\n  "id": [\n    [],\n    {}\n  ]\n}'
    )
    tab.page.get_by_role("button", name="Pretty").click()
    expect(tab.page.locator("#log-rows pre").filter(visible=True)).to_have_count(0)


def test_the_log_filter_matches_text_and_direction(tab: Tab, shared_server: ServerProcess) -> None:
    tab.send('{"type":"ping","id":"one"}')
    tab.send('{"type":"ping","id":"two"}')
    expect(tab.frames("in").filter(has_text='"two"')).to_have_count(1)
    tab.page.get_by_label("Filter messages").fill("ONE")
    expect(tab.frames()).to_have_count(2)
    tab.page.get_by_label("Filter messages").fill("")
    tab.page.get_by_label("Show messages of").select_option(label="this page")
    expect(tab.frames()).to_have_count(0)
    # What arrives while a filter is set is filtered too.
    put(shared_server, "filtered", 1)
    tab.go("Keys")
    tab.choose("filtered").set('"by the page"')
    expect(tab.detail.editor).to_be_hidden()
    tab.go("Console").send('{"type":"ping","id":"three"}')
    expect(tab.frames("out", "page")).to_have_count(1)
    expect(tab.frames("out", "page")).to_contain_text('"value":"by the page"')
    expect(tab.page.locator("#log-count")).to_contain_text("4 out")
    expect(tab.frames()).to_have_count(0)


def test_pause_holds_messages_back_until_resume(tab: Tab) -> None:
    tab.button("Clear").click()
    tab.page.get_by_role("button", name="Pause").click()
    tab.send('{"type":"ping"}')
    resume = tab.page.get_by_role("button", name="Resume (2)")
    expect(resume).to_be_visible()
    expect(tab.frames()).to_have_count(0)
    resume.click()
    expect(tab.frames()).to_have_count(2)


def test_the_log_keeps_the_newest_messages_and_scrolls_to_the_end(tab: Tab) -> None:
    tab.button("Clear").click()
    tab.page.evaluate(
        """() => {
          const editor = document.querySelector("#composer-editor textarea");
          for (let number = 1; number <= 700; number += 1) {
            editor.value = `{"type":"ping","id":${number}}`;
            editor.dispatchEvent(new Event("input"));
            document.getElementById("composer-send").click();
          }
        }"""
    )
    expect(tab.frames("in").filter(has_text='"id":700}')).to_have_count(1)
    rows = tab.page.locator("#log-rows > *")
    expect(rows).to_have_count(500)
    # A key of another test may expire meanwhile, which is one message more.
    expect(tab.page.locator("#log-count")).to_have_text(re.compile(r"^7\d\d in, 700 out$"))
    expect(rows.filter(has_text='"id":700}').last).to_be_visible()
    expect(rows.last).to_be_in_viewport()


def test_a_long_message_is_truncated(tab: Tab, shared_server: ServerProcess) -> None:
    put(shared_server, "long", "x" * 100_000)
    tab.send('{"type":"get","key":"long"}')
    row = tab.frames("in").filter(has_text='"type":"result"')
    expect(row).to_contain_text("100,0")
    row.locator("summary").click()
    expect(row.locator("pre")).to_contain_text(re.compile(r"… and 80,0\d\d more characters"))


# --- what was sent before ---


def test_sent_messages_are_in_the_history_after_a_reload(
    new_tab: NewTab, shared_server: ServerProcess
) -> None:
    tab = new_tab().open(shared_server, "console").expect_connected()
    for number in (1, 2, 1):
        tab.send(f'{{"type":"ping","id":{number}}}')
        expect(tab.frames("in").filter(has_text=f'"id":{number}').first).to_be_visible()
    tab.open(shared_server, "console").expect_connected()
    history = tab.page.get_by_label("History")
    texts = history.locator("option").all_text_contents()
    assert texts == ["History", '{"type":"ping","id":1}', '{"type":"ping","id":2}']
    history.select_option(label='{"type":"ping","id":2}')
    expect(tab.message).to_have_value('{"type":"ping","id":2}')
    tab.message.press("Alt+ArrowUp")
    expect(tab.message).to_have_value('{"type":"ping","id":1}')
    tab.message.press("Alt+ArrowUp")
    expect(tab.message).to_have_value('{"type":"ping","id":2}')
    tab.message.press("Alt+ArrowDown")
    expect(tab.message).to_have_value('{"type":"ping","id":1}')


def test_the_history_works_without_local_storage(
    new_tab: NewTab, shared_server: ServerProcess
) -> None:
    tab = new_tab()
    tab.page.add_init_script(
        """Object.defineProperty(window, "localStorage", {
             get() { throw new DOMException("denied", "SecurityError"); } });"""
    )
    tab.open(shared_server, "console").expect_connected()
    tab.send('{"type":"ping"}')
    expect(tab.frames("in").filter(has_text="pong")).to_have_count(1)
    expect(tab.page.get_by_label("History").locator("option")).to_have_count(2)


# --- a message as a program ---

RUN_AS_CURL = {
    '{"type":"get","key":"a b","ns":"app"}': '"it\'s"',
    '{"type":"set","key":"p","value":"it\'s $HOME `x`","ttl":60000}': "",
    '{"type":"mget","keys":["p","type"]}':
        '{"result":{"p":"it\'s $HOME `x`","type":null}}',
    '{"type":"mset","entries":[{"key":"q","value":"1"}],"ns":"app"}': '{"stored":1}',
    '{"type":"del","key":"p"}': "",
    '{"type":"ping"}': '{"status":"alive"}',
    '{"action":"set","key":"o","value":{"x":18446744073709551615}}': "",
    '{"action":"get","key":"o"}': '{"x":18446744073709551615}',
    '{"action":"delete","key":"o"}': "",
}  # fmt: skip


def test_a_message_copied_as_curl_has_the_same_effect(
    tab: Tab, shared_server: ServerProcess, curl: Path
) -> None:
    put(shared_server, "a b", "it's", ns="app")
    for message, answer in RUN_AS_CURL.items():
        tab.message.fill(message)
        words = shlex.split(tab.copied_as("curl"))
        assert words[0] == "curl"
        done = subprocess.run([curl, *words[1:]], capture_output=True, text=True, check=True)
        assert done.stdout == answer, message


def indented(message: str) -> str:
    """The value in a message as the page shows it: numbers and names as they were written."""
    if "18446744073709551615" in message:
        return '{\n  "big": 18446744073709551615,\n  "__proto__": 1,\n  "f": 1.0\n}'
    return json.dumps(json.loads(message)["value"], indent=2)


def test_copying_a_message_without_an_http_equivalent_shows_the_reason(tab: Tab) -> None:
    tab.message.fill('{"action":"subscribe","key":"k"}')
    copy_as_curl = tab.page.get_by_role("menuitem", name="curl", exact=True)
    tab.button("Copy as").click()
    copy_as_curl.click()
    problem = tab.page.locator("#composer-problem")
    expect(problem).to_contain_text("needs a WebSocket")
    tab.message.fill("{")
    expect(problem).to_be_hidden()
    tab.button("Copy as").click()
    expect(problem).to_contain_text("Only a message that is JSON")
    expect(copy_as_curl).to_be_hidden()


@pytest.mark.parametrize(
    "message",
    [
        '{"action": "set", "key": "js", "value": {"x": 1, "text": "it\'s \\"so\\""}}',
        '{"action":"set","key":"js","value":{"big":18446744073709551615,"__proto__":1,"f":1.0}}',
    ],
)
def test_a_message_copied_as_javascript_has_the_same_effect(
    tab: Tab, shared_server: ServerProcess, message: str
) -> None:
    put(shared_server, "js", None)
    tab.message.fill(message)
    program = tab.copied_as("JavaScript")
    # A module may begin with imports, what is evaluated here may not.
    program = re.sub(r"import (.*) from (.*);", r"const \1 = await import(\2);", program)
    tab.page.evaluate(f"(async () => {{ {program} }})()")
    tab.go("Keys").choose("js").expect_text(indented(message))


def test_a_message_that_the_client_has_no_call_for_is_copied_as_python_too(
    tab: Tab, shared_server: ServerProcess
) -> None:
    op = {"op": "set", "key": "python", "value": "'\"\\ \u20ac"}
    tab.message.fill(json.dumps({"type": "txn", "ops": [op]}))
    program = tab.copied_as("Python")
    # It prints what comes until it is stopped; the reply to the message is enough.
    program = program.replace(
        "        print(message)", "        print(message)\n        if 'result' in message: break"
    )
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", program],
        capture_output=True, text=True, encoding="utf-8", check=True,
    )  # fmt: skip
    assert '"results":' in done.stdout
    reply = json.loads(stored_text(shared_server, "/get/python"))
    assert reply["value"] == "'\"\\ \u20ac"


def test_copied_programs_have_a_placeholder_for_the_token(
    new_tab: NewTab, start_server: StartServer, curl: Path
) -> None:
    server = start_server("--token", "open sesame")
    tab = new_tab().open(server, "console")
    tab.page.get_by_role("dialog").get_by_label("Token").fill("open sesame")
    tab.page.keyboard.press("Enter")
    tab.expect_connected()
    tab.message.fill('{"type":"set","key":"k","value":"v"}')
    for program in ("curl", "PowerShell", "cmd", "JavaScript", "Python", "Companion"):
        copied = tab.copied_as(program)
        assert "sesame" not in copied
        assert copied.count("TOKEN") == 1
        if program in ("curl", "Python"):
            command = ["bash", "-c"] if program == "curl" else [sys.executable, "-c"]
            subprocess.run([*command, copied.replace("TOKEN", "open sesame")], check=True)
    tab.message.fill('{"type":"get","key":"k"}')
    copied = tab.copied_as("curl").replace("TOKEN", "open sesame")
    done = subprocess.run(["bash", "-c", copied], capture_output=True, text=True, check=True)
    assert done.stdout == '"v"'
    tab.forgive("401")


# --- files of messages ---


def choose_file(tab: Tab, path: Path, content: str) -> None:
    path.write_text(content, encoding="utf-8")
    with tab.page.expect_file_chooser() as chooser:
        tab.button("Import messages …").click()
    chooser.value.set_files(path)


def test_a_file_of_messages_can_be_replayed(tab: Tab, tmp_path: Path) -> None:
    tab.button("Clear").click()
    lines = [json.dumps({"type": "ping", "id": number}) for number in range(450)]
    choose_file(tab, tmp_path / "pings.jsonl", "\ufeff" + "\r\n".join(lines) + "\n\n")
    status = tab.page.locator("#replay-status")
    expect(status).to_have_text("450 messages in pings.jsonl")
    tab.button("Send all").click()
    expect(status).to_have_text("450 of 450 sent")
    expect(tab.frames("in").filter(has_text='"id":449')).to_have_count(1)
    expect(tab.page.locator("#log-count")).to_have_text("450 in, 450 out")

    # In its own time, and no further than it is let.
    tab.page.get_by_label("one every").select_option(label="second")
    tab.button("Send all").click()
    expect(status).to_have_text("2 of 450 sent")
    tab.button("Stop").click()
    expect(tab.button("Send all")).to_be_visible()
    tab.page.get_by_role("group", name="Replay").get_by_role("button", name="Close").click()
    expect(tab.page.get_by_role("group", name="Replay")).to_be_hidden()


def test_a_file_with_an_invalid_message_is_not_replayed(tab: Tab, tmp_path: Path) -> None:
    choose_file(tab, tmp_path / "wrong.jsonl", '{"type":"ping"}\n\n{"type":}\n')
    problem = tab.page.locator("#replay-problem")
    expect(problem).to_have_text("Line 3 is not JSON: column 9: a value should be here")
    expect(tab.button("Send all")).to_be_hidden()
    choose_file(tab, tmp_path / "empty.jsonl", "\n")
    expect(problem).to_have_text("There is no message in the file.")


def test_sent_messages_can_be_saved_as_a_replay_file(tab: Tab, tmp_path: Path) -> None:
    tab.button("Clear").click()
    tab.send('{"type": "ping", "id": 1.0}')
    tab.send('{"type": "ping", "id": 2}')
    expect(tab.frames("in")).to_have_count(2)
    with tab.page.expect_download() as download:
        tab.button("Save sent").click()
    saved = tmp_path / "saved.jsonl"
    download.value.save_as(saved)
    assert saved.read_text("utf-8") == '{"type":"ping","id":1.0}\n{"type":"ping","id":2}\n'


def test_a_message_of_the_log_can_be_copied(tab: Tab) -> None:
    tab.button("Clear").click()
    tab.send('{"type":"ping","id":5}')
    tab.frames("out").locator("summary").click()
    assert tab.copied("Copy message") == '{"type":"ping","id":5}'
