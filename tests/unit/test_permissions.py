"""The least rights at NATS, which the configuration of a cluster gives, too."""

import re
from pathlib import Path

import pytest

from dunena.persistence.jetstream.permissions import permissions_of

USERS = Path(__file__).resolve().parents[2] / "packaging" / "cluster" / "nats" / "users.conf"


def test_a_writer_may_make_read_and_clear_its_stream_and_write_to_it():
    rights = permissions_of("show")
    assert set(rights.publish) == {
        "$KV.show.>",
        "dn.show.ch.>",
        "$JS.API.STREAM.CREATE.KV_show",
        "$JS.API.STREAM.INFO.KV_show",
        "$JS.API.STREAM.MSG.GET.KV_show",
        "$JS.API.STREAM.PURGE.KV_show",
        "$JS.API.DIRECT.GET.KV_show",
    }
    assert rights.subscribe == ("dn.show.log.>", "dn.show.ch.>", "_INBOX.>")


def test_a_reader_may_only_ask():
    assert set(permissions_of("show", is_reader=True).publish) == {
        "$JS.API.STREAM.INFO.KV_show",
        "$JS.API.STREAM.MSG.GET.KV_show",
        "$JS.API.DIRECT.GET.KV_show",
    }


@pytest.mark.parametrize("is_reader", [False, True])
def test_nobody_may_publish_what_nodes_believe(is_reader: bool):
    rights = permissions_of("show", domain="hub", is_reader=is_reader)
    assert not [one for one in rights.publish if one.startswith(("dn.show.log", "dn.>", "dn.*"))]


@pytest.mark.parametrize("is_reader", [False, True])
def test_the_configuration_of_a_cluster_gives_these_rights_and_no_others(is_reader: bool):
    lists = re.findall(r"(publish|subscribe): \[([^]]*)\]", USERS.read_text("utf-8"))
    assert [kind for kind, _ in lists] == ["publish", "subscribe"] * 2
    publish, subscribe = (
        set(re.findall(r'"([^"]+)"', text)) for _, text in lists[2 * is_reader : 2 * is_reader + 2]
    )
    rights = permissions_of("dunena", domain="hub", is_reader=is_reader)
    assert (publish, subscribe) == (set(rights.publish), set(rights.subscribe))
