"""The way to a phone: sharing, invitations and signing in, over the address of this machine."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

from dunena.server.addresses import lan_addresses
from tests.browser.conftest import Axe, NewTab
from tests.browser.tab import Tab
from tests.protocol.clients import http
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess
from tests.support.tokens import ALL, READER, write_tokens

if TYPE_CHECKING:
    from playwright.sync_api import Browser

HOSTS = lan_addresses()
needs_network = pytest.mark.skipif(not HOSTS, reason="this machine is in no network")

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
PANEL = "/www/scoreboard/panel.html"


def far_url(server: ServerProcess) -> str:
    return f"http://{HOSTS[0]}:{server.port}"


@pytest.fixture
def phone(browser: "Browser", start_server: StartServer) -> Page:
    """A phone without JavaScript on the pages that sign it in, which need none."""
    context = browser.new_context(**PHONE, locale="en-GB")
    return context.new_page()


def share(tab: Tab) -> None:
    tab.button("Share on this network").click()
    expect(tab.page.locator("#server-addresses .badge")).to_have_text("Shared on this network")


def invited(tab: Tab) -> str:
    """Make an invitation; its address."""
    tab.button("Invite a phone").click()
    dialog = tab.page.get_by_role("dialog", name="Open on a phone")
    expect(dialog.get_by_role("timer")).to_contain_text("Good for")
    picture = dialog.get_by_role("img", name="QR code of the address")
    expect(picture).to_be_visible()
    tab.page.wait_for_function("() => document.querySelector('.qr').naturalWidth > 0")
    return dialog.locator("code").inner_text()


@needs_network
def test_a_double_clicked_server_is_shared_and_a_phone_is_invited_to_the_panel(
    new_tab: NewTab, start_server: StartServer, phone: Page
) -> None:
    server = start_server()
    http(server, "POST", "/templates", {"template": "scoreboard"})
    tab = new_tab().open(server, "server").expect_connected()
    expect(tab.page.locator("#server-addresses")).to_contain_text(far_url(server))
    share(tab)
    address = invited(tab)
    assert re.fullmatch(rf"{far_url(server)}/invite/[\w-]+", address)
    assert tab.copied("Copy the address") == address
    phone.goto(address)
    phone.get_by_role("button", name="Continue").tap()
    phone.wait_for_url(f"{far_url(server)}{PANEL}")
    expect(phone.locator("#status")).to_have_text("Saved")
    phone.get_by_role("button", name="Home plus 1").tap()
    expect(phone.locator("#status")).to_have_text("Saved")
    while http(server, "GET", "/kv/home?ns=scoreboard&path=/score").json != 1:
        pass
    phone.goto(address)
    expect(phone.get_by_role("heading")).to_have_text("This invitation is over")
    phone.goto(f"{far_url(server)}{PANEL}")
    expect(phone.locator("#status")).to_have_text("Saved")
    tab.button("Close").click()
    tab.button("Stop sharing").click()
    expect(tab.button("Share on this network")).to_be_visible()
    expect(phone.locator("#status")).not_to_have_text("Saved")
    expect(tab.state).to_have_attribute("data-state", "open")


@needs_network
def test_a_phone_signs_in_with_a_token_and_without_javascript(
    new_tab: NewTab, start_server: StartServer, browser: "Browser", tmp_path: Path
) -> None:
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "page.html").write_text("<!doctype html><p>the page", "utf-8")
    www = str(tmp_path / "www")
    server = start_server("--host", "0.0.0.0", "--token", "s3cret", "--www", www)
    page = browser.new_context(**PHONE, java_script_enabled=False).new_page()
    page.goto(f"{far_url(server)}/www/page.html?a=b")
    field = page.get_by_label("Token")
    expect(page.get_by_role("heading")).to_have_text("Sign in")
    field.fill("wrong")
    page.get_by_role("button", name="Continue").tap()
    expect(page.get_by_role("alert")).to_have_text("That is not the token.")
    field.fill("s3cret")
    page.get_by_role("button", name="Continue").tap()
    expect(page.get_by_text("the page")).to_be_visible()
    assert page.url == f"{far_url(server)}/www/page.html?a=b"
    page.context.close()


@needs_network
def test_addresses_of_an_open_server_have_a_code(blank_tab: Tab, start_server: StartServer) -> None:
    server = start_server("--host", "0.0.0.0")
    tab = blank_tab.open(server, "server").expect_connected()
    tab.button(f"QR code of {far_url(server)}/test").click()
    dialog = tab.page.get_by_role("dialog", name="Open on a phone")
    expect(dialog.locator("code")).to_have_text(f"{far_url(server)}/test")
    tab.page.wait_for_function("() => document.querySelector('.qr').naturalWidth > 0")
    tab.button("Close").click()
    expect(dialog).to_have_count(0)
    tab.button("Invite a phone").click()
    expect(dialog).to_contain_text("Everybody in the same network can open this")
    tab.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_the_rights_of_an_invitation_are_chosen(
    blank_tab: Tab, start_server: StartServer, tmp_path: Path
) -> None:
    file = write_tokens(tmp_path, ALL + READER)
    server = start_server("--host", "0.0.0.0", "--tokens", str(file))
    tab = blank_tab
    tab.page.goto(f"{server.url}/info")
    tab.page.get_by_label("Token").fill("director")
    tab.button("Continue").click()
    tab.problems.clear()
    tab.open(server, "server").expect_connected()
    first = invited(tab)
    tab.page.get_by_label("Rights of").select_option("overlay")
    shown = tab.page.get_by_role("dialog").locator("code")
    expect(shown).not_to_have_text(first)
    path = "/invite/" + shown.inner_text().rpartition("/")[2]
    used = http(server, "POST", path)
    cookie = {"Cookie": used.headers["set-cookie"].partition(";")[0]}
    permitted = http(server, "GET", "/info", headers=cookie).json["permitted"]
    assert permitted["rights"] == ["read"]
    tab.page.keyboard.press("Escape")
    tab.page.context.clear_cookies()


def test_an_invitation_that_is_over_says_so(new_tab: NewTab, start_server: StartServer) -> None:
    server = start_server("--host", "0.0.0.0", "--token", "s3cret")
    tab = new_tab()
    tab.page.route(
        "**/invites",
        lambda route: (
            route.fulfill(
                status=201,
                json={"path": "/invite/x", "seconds": 1},
            )
            if route.request.method == "POST"
            else route.continue_()
        ),
    )
    tab.page.goto(f"{server.url}/info")
    tab.page.get_by_label("Token").fill("s3cret")
    tab.button("Continue").click()
    tab.problems.clear()
    tab.open(server, "server").expect_connected()
    tab.button("Invite a phone").click()
    expect(tab.page.get_by_role("timer")).to_have_text("It is over: make a new one.")
    tab.button("New invitation").click()
    expect(tab.page.get_by_role("timer")).to_contain_text("Good for")
    tab.page.keyboard.press("Escape")


def test_where_sharing_is_impossible_the_command_can_be_copied(
    blank_tab: Tab, server: ServerProcess
) -> None:
    commands = {"bash": "dunena serve --host 0.0.0.0", "windows": "& 'C:\\a b.exe' serve"}
    answer = {
        "error": "It cannot be shared while it runs: refused", "reason": "refused",
        "code": "not_shared", "commands": commands,
    }  # fmt: skip
    tab = blank_tab
    tab.page.route(
        "**/sharing",
        lambda route: (
            route.fulfill(status=409, json=answer)
            if route.request.method == "POST"
            else route.fulfill(
                json={
                    "isForNetwork": False, "isShared": False, "hasToken": False, "token": None,
                    "urls": ["http://192.168.1.10:3000"],
                }
            )
        ),
    )  # fmt: skip
    tab.open(server, "server").expect_connected()
    tab.button("Share on this network").click()
    expect(tab.page.locator("#server-addresses [role=alert]")).to_have_text(answer["error"])
    assert tab.copied("Copy the command for bash") == commands["bash"]
    assert tab.copied("Copy the command for windows") == commands["windows"]
    tab.page.unroute("**/sharing")
    tab.problems.clear()  # the browser reports the 409


@needs_network
def test_everything_for_phones_can_be_used_by_everybody(
    new_tab: NewTab, start_server: StartServer, axe: Axe, phone: Page
) -> None:
    server = start_server()
    tab = new_tab().open(server, "server").expect_connected()
    expect(tab.button("Share on this network")).to_be_visible()
    assert axe(tab.page) == []
    share(tab)
    assert axe(tab.page) == []
    address = invited(tab)
    assert axe(tab.page) == []
    tab.page.set_viewport_size({"width": 390, "height": 844})
    width = tab.page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390
    phone.goto(address)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390


@needs_network
def test_a_page_that_was_made_is_brought_to_a_phone(
    new_tab: NewTab, start_server: StartServer
) -> None:
    server = start_server()
    http(server, "POST", "/templates", {"template": "scoreboard"})
    tab = new_tab().open(server, "pages").expect_connected()
    tab.button("Open scoreboard/panel.html on a phone").click()
    dialog = tab.page.get_by_role("dialog", name="Open on a phone")
    expect(dialog).to_contain_text("Only this machine reaches the server now.")
    dialog.get_by_role("button", name="Share on this network").click()
    expect(dialog.locator("code")).to_have_text(re.compile("/invite/"))
    expect(dialog.get_by_label("Page")).to_be_hidden()
    secret = dialog.locator("code").inner_text().rpartition("/")[2]
    used = http(server, "POST", f"/invite/{secret}")
    assert used.headers["location"] == "../www/scoreboard/panel.html"
