"""What is remembered of the errors of pages."""

from dunena.server.static.page_reports import (
    ERRORS_MAX,
    PAGES_MAX,
    TEXT_CHARS_MAX,
    PageErrors,
    PageReport,
)


def test_an_error_that_comes_again_is_counted() -> None:
    errors = PageErrors()
    errors.add(PageReport("www/a.html", "x is not defined", "www/a.html:3"), 1000)
    errors.add(PageReport("www/a.html", "x is not defined", "www/a.html:9"), 1500)
    errors.add(PageReport("www/a.html", "x is not defined", "www/a.html:3"), 2000)
    found = errors.by_page()["www/a.html"]
    assert [(one.where, one.count, one.last_at_ms) for one in found] == [
        ("www/a.html:3", 2, 2000),
        ("www/a.html:9", 1, 1500),
    ]


def test_only_the_newest_errors_of_a_page_are_kept() -> None:
    errors = PageErrors()
    for number in range(ERRORS_MAX + 3):
        errors.add(PageReport("www/a.html", f"error {number}", ""), number)
    texts = [one.text for one in errors.by_page()["www/a.html"]]
    assert texts == [f"error {number}" for number in range(3, ERRORS_MAX + 3)]


def test_the_page_that_reported_longest_ago_goes_first() -> None:
    errors = PageErrors()
    for number in range(PAGES_MAX):
        errors.add(PageReport(f"{number}", "error", ""), number)
    errors.add(PageReport("0", "error", ""), PAGES_MAX)
    errors.add(PageReport("another", "error", ""), PAGES_MAX)
    found = errors.by_page()
    assert len(found) == PAGES_MAX
    assert "0" in found
    assert "1" not in found


def test_long_texts_are_cut() -> None:
    errors = PageErrors()
    errors.add(PageReport("p" * 10_000, "t" * 10_000, "w" * 10_000), 0)
    [(page, [error])] = errors.by_page().items()
    assert {len(page), len(error.text), len(error.where)} == {TEXT_CHARS_MAX}


def test_what_was_told_does_not_change_later() -> None:
    errors = PageErrors()
    errors.add(PageReport("www/a.html", "error", ""), 1)
    [told] = errors.by_page()["www/a.html"]
    errors.add(PageReport("www/a.html", "error", ""), 2)
    assert told.count == 1
