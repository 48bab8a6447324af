"""The text of a release: what changed, which file to take, how to start and to verify it."""

from pathlib import Path

from releasekit.changelog import UNRELEASED, find_section
from releasekit.errors import ReleaseError
from releasekit.signatures import is_signed
from releasekit.targets import TARGETS, Target

_FOLDER_HINT = """\
*One file* is all you need. On Linux and macOS take the archive of it: a file that a browser
downloads as it is loses its right to be run. *Folder* is the same program unpacked: it starts
quicker, above all on macOS, which looks into every file that a single one unpacks at its start."""

_START = """\
## Start it

- **Windows**: double-click `dunena-windows-x64.exe` (on ARM `dunena-windows-arm64.exe`).{windows}
- **macOS**: open the `.zip`, then double-click the program in the folder that appears.{macos}
- **Linux**: `tar -xzf dunena-linux-x64.tar.gz && dunena-linux-x64/dunena-linux-x64`

The window shows the address of the test page, and a browser opens it. In a terminal the name of the
file and `serve --help` list what can be set. With Python: `pipx run dunena`."""

_WINDOWS_UNSIGNED = """
  Windows says that it protected your PC, because the file is not signed and few people have started
  it yet: *More info*, then *Run anyway*."""
_MACOS_UNSIGNED = """
  macOS refuses it at first, because the file is not notarised by Apple: after that one try, open
  *System Settings > Privacy & Security* and choose *Open Anyway*; the button is there for about an
  hour. In a terminal: `xattr -dr com.apple.quarantine dunena-macos-arm64`."""
_MACOS_SIGNED = """
  The first start asks Apple about the file, so it needs the internet once."""

_VERIFY = """\
## Verify it

`SHA2-256SUMS` has the checksum of every file above, `SHA2-512SUMS` a longer one:

```sh
sha256sum --check --ignore-missing SHA2-256SUMS        # Linux
shasum -a 256 --check --ignore-missing SHA2-256SUMS    # macOS
```

On Windows compare with what `Get-FileHash dunena-windows-x64.exe` prints."""

_ATTESTED = """\
That the files were built from this repository, by its workflow and nobody else, GitHub attests:

```sh
gh attestation verify dunena-linux-x64.tar.gz --repo {repository}
```"""

_LICENSES = "The licences of what the files contain are in `THIRD_PARTY_LICENSES.txt`."


def render(
    version: str, changelog: str, dist: Path, repository: str, *, is_attested: bool = True
) -> str:
    """The notes of a version, in Markdown; `repository` is `owner/name`.

    With `is_attested` they say how to ask GitHub where the files come from.

    Before its release they are made from what is unreleased. Only files that are in `dist` are
    offered.
    """
    section = find_section(changelog, version) or find_section(changelog, UNRELEASED)
    if section is None or not section.body:
        raise ReleaseError(f"CHANGELOG.md says nothing of {version}")
    present = [target for target in TARGETS if (dist / target.executable).is_file()]
    if not present:
        raise ReleaseError(f"{dist}: no executable in it")
    table = _table(present, dist, download_url(repository, version))
    parts = [section.body, "## Download", table, _FOLDER_HINT, _start(present, dist), _VERIFY]
    if is_attested:
        parts.append(_ATTESTED.format(repository=repository))
    parts.append(_LICENSES)
    return "\n\n".join(parts) + "\n"


def download_url(repository: str, version: str) -> str:
    """Where the files of a release are, without a slash at the end."""
    return f"https://github.com/{repository}/releases/download/v{version}"


def _table(targets: list[Target], dist: Path, url: str) -> str:
    lines = ["| | One file | Archive of it | Folder |", "| --- | --- | --- | --- |"]
    for target in targets:
        links = [_link(dist / name, url) for name in target.files]
        lines.append(f"| {' | '.join([target.title, *links])} |")
    return "\n".join(lines)


def _link(path: Path, url: str) -> str:
    if not path.is_file():
        raise ReleaseError(f"{path} is missing")
    return f"[{path.name}]({url}/{path.name}) ({path.stat().st_size / 1e6:.1f} MB)"


def _start(targets: list[Target], dist: Path) -> str:
    signed = {target.system: True for target in targets}
    for target in targets:
        signed[target.system] &= is_signed(dist / target.executable, target.system)
    return _START.format(
        windows="" if signed.get("windows") else _WINDOWS_UNSIGNED,
        macos=_MACOS_SIGNED if signed.get("macos") else _MACOS_UNSIGNED,
    )
