"""What goes into the executable and what stays out: the decisions of dunena.spec, as plain data.

Nothing here needs PyInstaller, so that every branch can be tested on every system. `system` is a
value of `sys.platform` throughout: "linux", "darwin" or "win32".
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

NAME = "dunena"
COMMANDS = Path(__file__).resolve().parents[1] / "dunena" / "cli" / "commands"

_POSIX = ("linux", "darwin")
_EVERYWHERE = ("linux", "darwin", "win32")


# --- What is left out


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Modules that are left out, and why the program does not miss them.

    `names` are separated by spaces; `within` is the package that all of them are in.
    """

    names: str
    reason: str
    systems: tuple[str, ...] = _EVERYWHERE
    within: str = ""

    def modules(self) -> list[str]:
        """The full names."""
        return [f"{self.within}.{name}" if self.within else name for name in self.names.split()]


EXCLUSIONS = (
    Exclusion(
        "tkinter _tkinter turtle turtledemo idlelib curses _curses readline _pyrepl",
        "there is no window and no full-screen terminal, and nothing asks for a line of input",
    ),
    Exclusion(
        "unittest doctest test pdb bdb cmd code codeop pydoc pydoc_data profile cProfile pstats"
        " trace tracemalloc pprint",
        "tools for developing; libraries name them in branches that never run here",
    ),
    Exclusion(
        "setuptools pkg_resources _distutils_hack distutils pip ensurepip venv lib2to3 py_compile"
        " compileall runpy optparse argparse",
        "tools for installing packages and running source",
    ),
    Exclusion(
        "pygments markdown_it mdurl typer.rich_utils",
        "typer's boxes, which the command line has switched off; of rich only tables are used",
    ),
    Exclusion(
        "__main__ _inspect markdown syntax traceback",
        "what of rich needs these, or shows a program to those who write it",
        within="rich",
    ),
    Exclusion("zoneinfo _zoneinfo", "no time is told of another place than this"),
    Exclusion(
        "_async _async_read_write _lease _marker _read_write _soft _soft_rw _strict asyncio",
        "kinds of locks that filelock loads when they are asked for; ours is the plain one",
        within="filelock",
    ),
    Exclusion("sqlite3 _sqlite3", "what one of those locks is made of"),
    Exclusion(
        "xml pyexpat xmlrpc plistlib",
        "only JSON and the browser's own files are spoken here",
    ),
    Exclusion(
        "lzma _lzma bz2 _bz2 tarfile compression.zstd dbm shelve",
        "shutil and zipfile try them for archives; nothing here opens one",
    ),
    Exclusion(
        "ftplib imaplib smtplib poplib telnetlib nntplib netrc getpass http.cookiejar idna",
        "ways to other servers; another dunena, NATS and the list of releases are asked without",
    ),
    Exclusion(
        "contentmanager generator headerregistry policy _header_value_parser",
        "the mail in `email`; the headers of HTTP need its simple half",
        within="email",
    ),
    Exclusion(
        "mailbox statistics _pydecimal _pydatetime _pyio typing_extensions",
        "slow twins of compiled modules, and what stands in for a newer standard library",
    ),
    Exclusion(
        "legacy trio cli __main__ auth asyncio.server asyncio.router sync.server sync.router",
        "the server takes its protocol from websockets and brings its own connections; the commands"
        " that follow values or make load are clients of the newer kinds",
        within="websockets",
    ),
    Exclusion("cli __main__", "a command for restarting programs", within="watchfiles"),
    Exclusion("cli helpers", "a command, and texts for codes of other kinds", within="segno"),
    Exclusion(
        "multiprocessing _multiprocessing _posixshmem concurrent.futures.process",
        "what watchfiles would restart programs with (see STAND_INS); no process is made with it",
    ),
    Exclusion(
        "_adapters _collections _functools _itertools _meta _text",
        "what metadata of packages would be read with (see STAND_INS)",
        within="importlib.metadata",
    ),
    Exclusion(
        "bridge twisted aiohttp django",
        "ways to serve or send metrics; here a request of our own server asks for the text",
        within="prometheus_client",
    ),
    Exclusion("snappy", "compression for one of them"),
    Exclusion(
        "micro js.kv js.object_store js.errors",
        "what the library for NATS has beside its client; the log makes its own requests to"
        " JetStream (see STAND_INS)",
        within="nats",
    ),
    Exclusion(
        "aiohttp multidict fast_mail_parser nkeys",
        "ways to connect, to read headers and to log in that the library tries; NATS is reached"
        " over TCP, our own parser is quicker, and our own login needs no nkeys",
    ),
    Exclusion(
        "mimetypes nturl2path wsgiref.handlers wsgiref.headers wsgiref.util",
        "what its own server would need (see STAND_INS)",
    ),
    Exclusion(
        "_codecs_cn _codecs_hk _codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw _multibytecodec",
        "in UTF-8 mode no other encoding is spoken with the system",
        _POSIX,
    ),
    Exclusion("_uuid", "the system's own identifiers; random ones need none", _POSIX),
    Exclusion(
        "watchfiles anyio",
        "how changes of a folder are learnt of elsewhere; Linux is asked without it",
        ("linux",),
    ),
    Exclusion(
        "asyncio.proactor_events asyncio.windows_events asyncio.windows_utils"
        " rich._win32_console rich._windows_renderer typer._click._winconsole colorama",
        "the halves that are for Windows",
        _POSIX,
    ),
)

# The encodings that code may name (zipfile that of DOS); all others stand for code pages of other
# systems. Windows keeps them all, as its console and its programs speak them.
_ENCODINGS = frozenset(
    {"aliases", "ascii", "charmap", "cp437", "idna", "latin_1", "punycode"}
    | {"raw_unicode_escape", "unicode_escape"}
    | {"utf_8", "utf_8_sig", "utf_16", "utf_16_be", "utf_16_le", "utf_32", "utf_32_be", "utf_32_le"}
)


def excluded_modules(system: str, encodings: Iterable[str] = ()) -> list[str]:
    """The modules to leave out; `encodings` are the names of the modules in that package."""
    modules = [name for one in EXCLUSIONS if system in one.systems for name in one.modules()]
    if system in _POSIX:
        modules += [f"encodings.{name}" for name in encodings if name not in _ENCODINGS]
    return modules


def hidden_imports(system: str) -> list[str]:
    """What is imported only when the first scrape comes, the watcher's thread starts, a QR code is
    made or a command is given, and never missing."""
    commands = (f"dunena.cli.commands.{path.stem}" for path in sorted(COMMANDS.glob("*.py")))
    watcher = [] if system == "linux" else ["watchfiles"]
    # The last by the library for NATS, in a way that looking at its source does not show.
    return ["prometheus_client", "segno", *watcher, *commands, "pkgutil"]


EXTENSION_SUFFIXES = (".so", ".pyd")


def module_of(place: str) -> str:
    """The module that an extension module at a place in the program is.

    Those of our own lie beside their sources. PyInstaller sees in a source what it imports, and in
    an extension module nothing; so it is shown the sources, and given the others in their place.
    """
    folder, _, file = place.replace("\\", "/").rpartition("/")
    return f"{folder}/{file.partition('.')[0]}".replace("/", ".")


@dataclass(frozen=True, slots=True)
class StandIn:
    """The source text of a module that is imported but not used, and why that is safe."""

    source: str
    reason: str


STAND_INS = {
    "anyio": StandIn(
        "",
        "watchfiles imports it for its asynchronous half. It finds its own lazy imports by reading "
        "its source text, and without that, as here, imports all of its forty modules at once.",
    ),
    "watchfiles.run": StandIn(
        "arun_process = run_process = None\n",
        "watchfiles imports it at its top, and with it everything for starting processes.",
    ),
    "http.server": StandIn(
        "class BaseHTTPRequestHandler: ...\n",
        "prometheus_client imports this and the next two for its own server and for sending "
        "metrics away; here it only writes the text that our server answers with.",
    ),
    "urllib.request": StandIn(
        "class BaseHandler: ...\n"
        "class HTTPRedirectHandler: ...\n"
        "HTTPHandler = HTTPSHandler = Request = build_opener = None\n",
        "See http.server. Another dunena on the wanted port is asked with http.client.",
    ),
    "wsgiref.simple_server": StandIn(
        "class WSGIRequestHandler: ...\nclass WSGIServer: ...\nmake_server = None\n",
        "See http.server.",
    ),
    "html.entities": StandIn(
        "html5 = {'amp;': '&', 'lt;': '<', 'gt;': '>', 'quot;': '\"', 'nbsp;': '\\xa0'}\n",
        "The names of 2,200 characters in HTML, which `html` imports to read texts. Only titles of "
        "the user's pages are read, which are in UTF-8 and need the names of these.",
    ),
    "nats.js.client": StandIn(
        "class JetStreamContext: ...\n",
        "The library for NATS imports this and the next for users of JetStream; the log makes its "
        "own requests.",
    ),
    "nats.js.manager": StandIn("class JetStreamManager: ...\n", "See nats.js.client."),
    "rich._emoji_codes": StandIn(
        "EMOJI: dict[str, str] = {}\n",
        "The names of emoji that rich puts into texts: those of dunena have none.",
    ),
    "segno.writers": StandIn(
        "",
        "segno imports it, and with it XML, for pictures; of that library only the bits of a code "
        "are used.",
    ),
    "importlib.metadata": StandIn(
        "",
        "websockets imports it for the version of an unreleased copy of itself. There is no "
        "metadata of packages in the executable to be read.",
    ),
}

_DROPPED_HOOKS = {
    "pyi_rth_inspect": "finds the source text of functions, which is not in the file",
    "pyi_rth_pkgutil": "lists the modules of packages, which nothing here asks for",
}


def is_kept_script(name: str) -> bool:
    """Whether a script that runs before the program is wanted: each one costs every start."""
    return name not in _DROPPED_HOOKS


DATA_FOLDERS = ("web", "templates")
"""Folders of the package whose files are data: the test page with the client, and the templates."""


def is_kept_data(place: str) -> bool:
    """Whether a data file is wanted.

    Metadata is not: the version comes from the code. Nor is code, which is in an archive already.
    """
    is_metadata = ".dist-info/" in place.replace("\\", "/")
    return not is_metadata and not place.endswith((".py", ".pyc"))


# --- How it is stored

OPTIONS = [("X utf8=1", None, "OPTION")]
"""What it reads and writes is UTF-8, also where the system's locale says otherwise or nothing.

The bootloader knows the mode by this name and says nothing of any other. Without it there is no
start where the locale's encoding is one that was left out.
"""

COMPRESSED = {
    "BINARY": True,
    "DATA": False,
    "EXECUTABLE": True,
    "EXTENSION": True,
    "PYMODULE": True,
    "PYSOURCE": True,
    "PYZ": False,  # its modules are compressed one by one
    "SYMLINK": False,
    "ZIPFILE": True,
}
"""Whether an entry of PyInstaller's single file is compressed, by its name for the kind of entry.

Only Windows has that file; elsewhere packkit/launcher.py packs.
"""


def is_stripped(system: str) -> bool:
    """Whether symbols for debuggers are taken out.

    They are most of a Python built from source on Linux. On macOS that would break the signatures
    of libraries, on Windows there are none in them.
    """
    return system == "linux"


def is_compressed_data(place: str) -> bool:
    """Whether a data file is compressed, which its kind would not be: text shrinks to a fourth."""
    folders = tuple(f"dunena/{folder}/" for folder in DATA_FOLDERS)
    return place == "base_library.zip" or place.replace("\\", "/").startswith(folders)


# --- Windows' version resource

_VERSION_TEXT = """\
VSVersionInfo(
  ffi=FixedFileInfo(filevers={numbers}, prodvers={numbers}, mask=0x3F, flags={flags},
                    OS=0x40004, fileType=0x1, subtype=0x0, date=(0, 0)),
  kids=[
    StringFileInfo([StringTable('040904B0', [
{strings}
    ])]),
    VarFileInfo([VarStruct('Translation', [0x0409, 1200])]),
  ],
)
"""


def version_numbers(version: str) -> tuple[int, int, int, int]:
    """The four numbers that Windows compares, from a version as Python writes it."""
    major, minor, patch = (*Version(version).release, 0, 0)[:3]
    return major, minor, patch, 0


def version_resource(version: str, description: str, file_name: str) -> str:
    """The file that PyInstaller makes Windows' version resource from."""
    strings = {
        "CompanyName": "The dunena authors",
        "FileDescription": description,
        "FileVersion": version,
        "InternalName": NAME,
        "LegalCopyright": "The dunena authors, MIT License",
        "OriginalFilename": file_name,
        "ProductName": NAME,
        "ProductVersion": version,
    }
    return _VERSION_TEXT.format(
        numbers=version_numbers(version),
        flags="0x2" if Version(version).is_prerelease else "0x0",
        strings="\n".join(f"      StringStruct({k!r}, {v!r})," for k, v in strings.items()),
    )
