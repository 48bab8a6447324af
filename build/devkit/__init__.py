"""What build/dev.py does, in the standard library alone.

Reading order:

console       how a command speaks, fails and runs other programs
requirements  the pinned packages in build/requirements/
environment   `.venv`, made from them and made anew when they change
programs      Node, `ws`, a browser and curl, for the tests that need them
dates         the time that stands in everything that is built
compiled      a copy with the hot modules compiled, for running the tests on it
second_try    pytest, where a failed test is tried once more
lock          the pins resolved anew
audit         known weaknesses of the pinned packages
pages         the pages that are made from the code: cli_page, settings_page
site          the documentation as a web site
commands      the commands themselves
"""
