"""Messages that nodes tell each other, and what comes late or from elsewhere."""

import pytest

from dunena.persistence.jetstream.channels import PUBLISHERS_MAX, NodeChannels
from dunena.persistence.jetstream.naming import SubjectNames
from dunena.persistence.jetstream.wire import Message


class Nothing:
    def cancel(self) -> None:
        """There is nothing to end."""


class StubLink:
    """Remembers what was published."""

    def __init__(self) -> None:
        self.published: list[Message] = []

    def publish(self, message: Message) -> None:
        self.published.append(message)

    def subscribe(self, _subject, receive):
        self.receive = receive
        return Nothing()


class Node:
    """A node that listens to one channel, and what it has heard there."""

    def __init__(self, name: str) -> None:
        self.link = StubLink()
        self.heard: list[tuple[str, bytes]] = []
        self.channels = NodeChannels(
            self.link,  # type: ignore[arg-type]
            SubjectNames("show"),
            name,
            lambda channel, data: self.heard.append((channel, data)),
        )
        self.channels.listen("chat", wanted=True)

    def hear(self, *messages: Message) -> list[bytes]:
        """What arrives of messages."""
        self.heard.clear()
        for message in messages:
            self.link.receive(message)
        return [data for _, data in self.heard]


@pytest.fixture
def node() -> Node:
    return Node("n1")


def told_by(name: str, *data: bytes) -> list[Message]:
    publisher = Node(name)
    for one in data:
        publisher.channels.tell("chat", one)
    return publisher.link.published


def test_messages_arrive_as_they_were_told(node: Node) -> None:
    assert node.hear(*told_by("n2", b"1", b"2", b"3")) == [b"1", b"2", b"3"]


def test_a_message_that_comes_after_a_later_one_is_left_out(node: Node) -> None:
    """It was with a server that hung, and the publisher went on at another one."""
    first, second, third = told_by("n2", b"1", b"2", b"3")
    assert node.hear(second, first, third) == [b"2", b"3"]


def test_a_message_that_comes_twice_is_heard_once(node: Node) -> None:
    (first,) = told_by("n2", b"1")
    assert node.hear(first, first) == [b"1"]


def test_publishers_are_told_apart(node: Node) -> None:
    one, other = told_by("n2", b"1", b"2"), told_by("n3", b"3", b"4")
    assert node.hear(one[1], other[0], one[0], other[1]) == [b"2", b"3", b"4"]


def test_a_message_of_another_program_is_heard(node: Node) -> None:
    (message,) = told_by("n2", b"1")
    plain = Message(message.subject, {}, b"2")
    odd = Message(message.subject, {"Dunena-Told": "7 n2 x"}, b"3")
    long = Message(message.subject, {"Dunena-Told": f"{'7' * 5000} n2"}, b"4")
    assert node.hear(message, plain, plain, odd, long) == [b"1", b"2", b"2", b"3", b"4"]


def test_a_channel_that_is_left_and_followed_again_begins_anew(node: Node) -> None:
    first, second = told_by("n2", b"1", b"2")
    assert node.hear(second) == [b"2"]
    node.channels.listen("chat", wanted=False)
    node.channels.listen("chat", wanted=True)
    assert node.hear(first) == [b"1"]


def test_only_so_many_publishers_are_remembered(node: Node) -> None:
    (first,) = told_by("n2", b"1")
    node.hear(first)
    for number in range(PUBLISHERS_MAX):
        node.hear(*told_by(f"other-{number}", b"x"))
    assert node.hear(first) == [b"1"], "as if it were a new one"
