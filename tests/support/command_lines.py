"""How the shells of Windows read a line: what they pass on to a program."""

import re

# Outside of quotes cmd gives a meaning to these; % and ! everywhere.
CMD_MARKS = set("&|<>^()%!\n\r")


def words_of_cmd(line: str) -> list[str]:
    """What a program gets of a line of cmd.

    cmd itself reads the line first: a quote begins or ends a part in quotes, whatever stands before
    it. Then the program splits it by the rules of Microsoft's C run-time library.
    """
    is_quoted = False
    for mark in line:
        assert mark not in "%!\n\r", f"cmd would replace something: {line}"
        assert is_quoted or mark not in CMD_MARKS, f"cmd would read {mark!r}: {line}"
        assert mark.isascii(), f"cmd would send it in the code page of the machine: {line}"
        is_quoted ^= mark == '"'
    return split_by_c_rules(line)


def split_by_c_rules(line: str) -> list[str]:
    """Split a command line: 2n backslashes and a quote are n and a quote's end, 2n + 1 a quote."""
    words, word, is_quoted, at = [], None, False, 0
    while at < len(line):
        slashes = len(line) - at - len(line[at:].lstrip("\\"))
        follows = line[at + slashes : at + slashes + 1]
        if slashes and follows == '"':
            word = (word or "") + "\\" * (slashes // 2)
            at += slashes
            if slashes % 2:
                word, at = word + '"', at + 1
        elif slashes:
            word, at = (word or "") + "\\" * slashes, at + slashes
        elif follows == '"':
            word, is_quoted, at = word or "", not is_quoted, at + 1
        elif follows in " \t" and not is_quoted:
            words += [] if word is None else [word]
            word, at = None, at + 1
        else:
            word, at = (word or "") + follows, at + 1
    assert not is_quoted
    return words + ([] if word is None else [word])


def literals_of_powershell(line: str) -> list[str]:
    """The string literals of a command, which nothing else in it may leave open.

    PowerShell takes typographic quotes for plain ones, so there are none; in single quotes nothing
    but a quote has a meaning. Windows PowerShell reads a script without a mark in the machine's
    code page, so all of it is ASCII.
    """
    assert line.isascii()
    assert "\n" not in line
    assert line.count("'") % 2 == 0
    between = re.split("'[^']*'", line)
    assert re.fullmatch(r"[\w @{}=-]*", "".join(between)), between
    return re.findall("'([^']*)'", line)
