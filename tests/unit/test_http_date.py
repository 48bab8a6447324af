"""The Date header's value."""

import time
from email.utils import parsedate_to_datetime

from dunena.server.http_date import HttpDate


def test_the_text_is_that_of_the_present_second() -> None:
    date = HttpDate()
    before = int(time.time())
    text = date.text()
    assert before <= parsedate_to_datetime(text).timestamp() <= time.time()
    assert text.endswith(" GMT")
    assert date.second == parsedate_to_datetime(text).timestamp()


def test_the_text_is_made_once_a_second() -> None:
    date = HttpDate()
    while True:
        first, second = date.text(), date.second
        again = date.text()
        if date.second == second:
            assert again is first
            return
