"""What Wine cannot do: tests that fail under it and would pass on Windows, with the reason of each.

A name is that of a test function (all of its parameters are meant), of one test with its
parameters in brackets, or of a module. A test that fails and is not meant by any of them makes
the command fail; a name whose tests all pass is reported, to be taken out.
"""

from collections.abc import Mapping

_LINKS = "Wine says that it made a symbolic link, and made none"
_WATCHING = (
    "Wine tells nothing of what happens in folders that it was not told of as they were made"
)
_TIME = "Wine tells a thread's time in steps of 10 ms, twice as long as the work that is measured"
_COMPILING = "what compiles modules for Windows runs on Windows alone, so this executable has none"

BEYOND_WINE: dict[str, str] = {
    "tests/unit/test_folder_storage.py::"
    "test_links_are_not_followed_and_do_not_block_other_files": _LINKS,
    "tests/unit/test_watcher.py::test_created_changed_and_removed_files_are_reported": _WATCHING,
    "tests/unit/test_workers.py::test_work_takes_a_limited_share_of_the_time_of_a_stream": _TIME,
    "tests/protocol/test_www.py::"
    "test_links_are_followed_inside_the_folder_and_never_out_of_it": _LINKS,
    "tests/binary/test_serving.py::test_the_hot_modules_of_the_executable_are_compiled": _COMPILING,
}


def name_in(listed: Mapping[str, str], test: str) -> str | None:
    """The name in the list that means a test, by its id in pytest; None where there is none."""
    function = test.partition("[")[0]
    module = test.partition("::")[0]
    return next((name for name in (test, function, module) if name in listed), None)
