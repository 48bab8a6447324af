"""The launcher that the executable of Linux and macOS consists of, around a program of some lines.

What the real program makes of it is in tests/binary.
"""

import ctypes
import errno
import functools
import importlib
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

if sys.platform == "win32":
    pytest.skip("Windows has PyInstaller's own single file", allow_module_level=True)

import fcntl

ROOT = Path(__file__).resolve().parents[2]
SECONDS_MAX = 20
WEEK_SECONDS = 7 * 24 * 60 * 60

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="about Linux")

PROGRAM = """#!/bin/sh
case "$1" in
exit) exit "$2" ;;
wait) echo started; exec sleep 60 ;;
esac
echo "$_DUNENA_FILE|$$|$*"
"""


_CALLS = {
    ("syncfs", "x86_64"): 306,
    ("syncfs", "aarch64"): 267,
    ("utimensat", "x86_64"): 280,
    ("utimensat", "aarch64"): 88,
}


def refuse_call(name: str, error: int) -> None:
    """Let the system answer a call of this process with an error (seccomp(2)), also after exec."""
    call = _CALLS[name, os.uname().machine]
    # Load the number of the call; is it this one? no: allow it; yes: the error.
    code = [(0x20, 0, 0, 0), (0x15, 1, 0, call), (0x06, 0, 0, 0x7FFF0000)]
    code += [(0x06, 0, 0, 0x00050000 | error)]
    packed = b"".join(struct.pack("=HBBI", *one) for one in code)
    buffer = ctypes.create_string_buffer(packed, len(packed))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(code), ctypes.addressof(buffer)))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for arguments in [(38, 1, 0, 0, 0), (22, 2, program)]:  # NO_NEW_PRIVS, SECCOMP with a filter
        if prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


class Maker:
    """Makes executables of a program that differs by a word."""

    def __init__(self, launcher: Any, base: Path) -> None:
        self.launcher = launcher
        self._base = base
        self._kit = launcher.prepare(Path(sys.executable), base, base / "log")
        self._made: dict[str, Path] = {}

    def make(self, word: str = "one", program: str = PROGRAM) -> Path:
        if word not in self._made:
            work = self._base / word
            folder = work / "folder"
            deep = folder / "_internal" / "a.folder" / "deep"
            deep.mkdir(parents=True)
            (deep / "data").write_text(word * 10_000)
            (folder / "_internal" / "empty").touch()
            (folder / "_internal" / "link").symlink_to("a.folder/deep/data")
            (folder / "dunena").write_text(program)
            (folder / "dunena").chmod(0o755)
            self._made[word] = work / "dunena made"
            self.launcher.make(self._kit, folder, "dunena", self._made[word], work / "work")
        return self._made[word]


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Maker]:
    with pytest.MonkeyPatch.context() as patch:
        # build/ is a folder of scripts and no package; they find packkit beside them.
        patch.setattr(sys, "path", [str(ROOT / "build"), *sys.path])
        # It takes a while to optimise all of zstd.
        patch.setenv("CFLAGS", "-O0")
        yield Maker(importlib.import_module("packkit.launcher"), tmp_path_factory.mktemp("made"))


class Place:
    """The folders of a person, and an executable that is started there."""

    def __init__(self, base: Path, file: Path) -> None:
        self.file = file
        self.home = base / "home"
        self.temporary = base / "tmp"
        self.home.mkdir()
        self.temporary.mkdir()
        self.environ = {"HOME": str(self.home), "TMPDIR": str(self.temporary)}
        self.before: list[str] = []

    @property
    def cache(self) -> Path:
        below = "Library/Caches" if sys.platform == "darwin" else ".cache"
        return self.home / below / "dunena"

    @property
    def temporary_cache(self) -> Path:
        return self.temporary / f"dunena-{os.geteuid()}"

    def start(
        self, *words: str, file: Path | None = None, refuse: tuple[str, int] | None = None
    ) -> "subprocess.Popen[str]":
        """Start it; `refuse` is a call that the system answers with an error, and that error."""
        return subprocess.Popen(
            [*self.before, file or self.file, *words],
            env=self.environ,
            preexec_fn=functools.partial(refuse_call, *refuse) if refuse else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self, *words: str, file: Path | None = None, refuse: tuple[str, int] | None = None
    ) -> str:
        """Run it to its end, and return what it printed."""
        process = self.start(*words, file=file, refuse=refuse)
        output, errors = process.communicate(timeout=SECONDS_MAX)
        assert (process.returncode, errors) == (0, "")
        return output

    def waiting(self) -> "subprocess.Popen[str]":
        """Start it, and return when it runs."""
        process = self.start("wait")
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        return process


@pytest.fixture
def place(tmp_path: Path, maker: Maker) -> Place:
    return Place(tmp_path, maker.make())


def run_with_limit(place: Place, limit: str) -> "subprocess.CompletedProcess[str]":
    """Run it with a limit that the shell sets."""
    command = ["/bin/sh", "-c", f'ulimit {limit}; exec "$0"', str(place.file)]
    return subprocess.run(command, env=place.environ, capture_output=True, text=True, check=False)


def only(folder: Path) -> Path:
    """The one thing in a folder."""
    (found,) = folder.iterdir()
    return found


def use_last(version: Path, seconds_ago: float) -> None:
    moment = time.time() - seconds_ago
    os.utime(version, (moment, moment))


def test_the_process_becomes_the_program(place: Place) -> None:
    process = place.start("a", "b c", "*")
    output, _ = process.communicate(timeout=SECONDS_MAX)
    assert output == f"{place.file}|{process.pid}|a b c *\n"


def test_the_exit_code_is_the_programs(place: Place) -> None:
    process = place.start("exit", "7")
    process.communicate(timeout=SECONDS_MAX)
    assert process.returncode == 7


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_reaches_the_program(place: Place, number: signal.Signals) -> None:
    process = place.waiting()
    process.send_signal(number)
    process.communicate(timeout=SECONDS_MAX)
    assert process.returncode == -number


def test_the_program_is_told_the_file_behind_a_link(place: Place, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(place.file)
    assert place.run(file=link).startswith(f"{place.file}|")


def test_everything_is_unpacked_as_it_was(place: Place, maker: Maker) -> None:
    place.run()
    original = place.file.parent / "folder"
    version = only(place.cache)
    for path in original.rglob("*"):
        copy = version / path.relative_to(original)
        assert copy.is_symlink() == path.is_symlink()
        assert copy.is_dir() == path.is_dir()
        assert os.access(copy, os.X_OK) == os.access(path, os.X_OK)
        if path.is_file():
            assert copy.read_bytes() == path.read_bytes()
    assert version.stat().st_mode & 0o077 == 0
    assert place.cache.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only there are programs looked into")
def test_the_release_finds_what_is_in_a_launcher(place: Place) -> None:
    """So that nothing in it needs a newer Linux."""
    walk = importlib.import_module("releasekit.bundle").walk
    found = dict(walk(place.file))
    assert found.pop(place.file.name) == place.file.read_bytes()
    assert found == {
        f"{place.file.name}: dunena": PROGRAM.encode(),
        f"{place.file.name}: _internal/a.folder/deep/data": b"one" * 10_000,
        f"{place.file.name}: _internal/empty": b"",
    }


def test_a_second_start_unpacks_nothing(place: Place) -> None:
    place.run()
    version = only(place.cache)
    file = version / "dunena"
    before = file.stat()
    use_last(version, WEEK_SECONDS)
    place.run()
    assert file.stat() == before
    assert only(place.cache).stat().st_mtime > time.time() - SECONDS_MAX, "it counts as used"


def test_starts_at_once_share_one_version(place: Place) -> None:
    processes = [place.start() for _ in range(8)]
    for process in processes:
        _, errors = process.communicate(timeout=SECONDS_MAX)
        assert (process.returncode, errors) == (0, "")
    assert (only(place.cache) / "dunena").is_file()


class TestPlaces:
    def test_the_cache_of_the_users_choice_is_used(self, place: Place, tmp_path: Path) -> None:
        place.environ["XDG_CACHE_HOME"] = str(tmp_path / "chosen")
        place.run()
        assert only(tmp_path / "chosen" / "dunena").is_dir()
        assert not place.cache.exists()

    @pytest.mark.parametrize("home", [None, "", "relative", "/", "/nowhere"])
    def test_without_a_home_the_temporary_folder_is_used(
        self, place: Place, home: str | None
    ) -> None:
        del place.environ["HOME"]
        if home is not None:
            place.environ["HOME"] = home
        place.run()
        place.run()
        assert only(place.temporary) == place.temporary_cache
        assert only(place.temporary_cache).is_dir()
        assert not Path("/nowhere").exists()

    def test_a_cache_that_cannot_be_made_is_left_alone(self, place: Place) -> None:
        place.cache.parent.parent.mkdir(exist_ok=True)
        place.cache.parent.write_text("no folder")
        place.run()
        assert only(place.temporary_cache).is_dir()

    @pytest.mark.parametrize("open_to_all", ["cache", "parent", "home"])
    def test_a_cache_that_others_can_change_is_not_used(
        self, place: Place, open_to_all: str
    ) -> None:
        place.run()
        version = only(place.cache)
        (version / "dunena").write_text("#!/bin/sh\necho evil\n")
        folders = {"cache": place.cache, "parent": place.cache.parent, "home": place.home}
        folders[open_to_all].chmod(0o777)
        assert place.run().startswith(str(place.file))
        assert only(place.temporary_cache).is_dir()

    @pytest.mark.skipif(sys.platform != "linux", reason="names are UTF-8 elsewhere")
    @pytest.mark.parametrize(
        "name", [b"caf\xe9", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"]
    )
    def test_a_cache_of_a_name_that_is_not_utf_8_is_not_used(
        self, place: Place, tmp_path: Path, name: bytes
    ) -> None:
        home = Path(os.fsdecode(bytes(tmp_path) + b"/" + name))
        home.mkdir()
        place.environ["HOME"] = str(home)
        place.run()
        assert list(home.iterdir()) == []
        assert only(place.temporary_cache).is_dir()

    @pytest.mark.parametrize("name", ["café", "\U0010ffff", "\ud7ff\uffff"])
    def test_a_cache_of_a_name_in_any_language_is_used(
        self, place: Place, tmp_path: Path, name: str
    ) -> None:
        home = tmp_path / name
        home.mkdir()
        place.environ["HOME"] = str(home)
        place.run()
        assert not place.temporary_cache.exists()

    def test_a_link_in_place_of_the_temporary_cache_is_not_followed(
        self, place: Place, tmp_path: Path
    ) -> None:
        place.run()
        name = only(place.cache).name
        del place.environ["HOME"]
        (tmp_path / "elsewhere").mkdir()
        place.temporary_cache.symlink_to(tmp_path / "elsewhere")
        place.run()
        assert list((tmp_path / "elsewhere").iterdir()) == []
        shutil.rmtree(Path("/tmp", place.temporary_cache.name, name))

    @pytest.mark.skipif(sys.platform != "linux", reason="mounts as Linux does it")
    @pytest.mark.parametrize("options", ["noexec", "size=16k"])
    def test_another_place_is_used_where_the_cache_is_noexec_or_full(
        self, place: Place, options: str
    ) -> None:
        place.cache.mkdir(parents=True, mode=0o700)
        command = ["mount", "-t", "tmpfs", "-o", f"mode=700,{options}", "tmpfs", str(place.cache)]
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
        if mounted.returncode != 0:
            pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
        try:
            place.run()
            assert list(place.cache.iterdir()) == []
            assert only(place.temporary_cache).is_dir()
        finally:
            subprocess.run(["umount", str(place.cache)], check=True)

    @pytest.mark.parametrize(
        ("limit", "reason"), [("-n 4", "Too many open files"), ("-f 8", "File too large")]
    )
    def test_one_line_for_each_place_says_why_it_cannot_be_used(
        self, place: Place, limit: str, reason: str
    ) -> None:
        done = run_with_limit(place, limit)
        assert (done.returncode, done.stdout) == (1, "")
        first, *lines = done.stderr.splitlines()
        assert first.startswith("dunena: cannot unpack the program")
        places = [place.cache, place.temporary_cache]
        places += [Path(base, place.temporary_cache.name) for base in ("/tmp", "/var/tmp")]
        assert lines == [f"  {path}: unpacking: {reason}" for path in places]
        assert list(place.cache.iterdir()) == []
        assert list(place.temporary_cache.iterdir()) == []

    def test_a_place_that_is_named_twice_is_tried_once(self, place: Place) -> None:
        place.environ["XDG_CACHE_HOME"] = f"{place.cache.parent}/"
        place.environ["TMPDIR"] = "/tmp/"
        place.cache.parent.parent.mkdir(exist_ok=True)
        place.cache.parent.write_text("no folder")
        done = run_with_limit(place, "-n 4")
        name = place.temporary_cache.name
        assert done.stderr.splitlines()[1:] == [
            f"  {place.cache}: making a folder: Not a directory",
            f"  /tmp/{name}: unpacking: Too many open files",
            f"  /var/tmp/{name}: unpacking: Too many open files",
        ]

    @linux_only
    def test_files_too_large_still_kill_the_program(self, place: Place) -> None:
        process = place.waiting()
        (line,) = re.findall(r"SigIgn:\s*(\w+)", Path(f"/proc/{process.pid}/status").read_text())
        process.kill()
        process.communicate(timeout=SECONDS_MAX)
        assert not int(line, 16) & 1 << (signal.SIGXFSZ - 1)

    @linux_only
    @pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
    def test_a_place_whose_device_fails_is_not_used(self, place: Place, number: int) -> None:
        process = place.start(refuse=("syncfs", number))
        _, errors = process.communicate(timeout=SECONDS_MAX)
        assert process.returncode == 1
        assert f"  {place.cache}: writing to the device: {os.strerror(number)}\n" in errors
        assert list(place.cache.iterdir()) == []

    @linux_only
    def test_a_system_that_cannot_force_files_out_is_used(self, place: Place) -> None:
        place.run(refuse=("syncfs", errno.ENOSYS))
        assert only(place.cache).is_dir()


@linux_only
class TestWithoutTheCLibrary:
    """A system with another C library than the one that the program is made for."""

    @pytest.fixture
    def file(self, maker: Maker) -> Path:
        # What the system says of a program whose loader is missing, it says of a script, too.
        return maker.make("without", "#!/nowhere/ld-linux.so.2\n")

    def test_the_launcher_itself_needs_no_library(self, file: Path) -> None:
        with file.open("rb") as data:
            kinds = {segment["p_type"] for segment in ELFFile(data).iter_segments()}
        assert "PT_LOAD" in kinds
        assert not kinds & {"PT_INTERP", "PT_DYNAMIC"}

    def test_a_missing_loader_is_reported_with_what_to_do(self, tmp_path: Path, file: Path) -> None:
        place = Place(tmp_path, file)
        process = place.start("version")
        output, errors = process.communicate(timeout=SECONDS_MAX)
        assert (process.returncode, output) == (1, "")
        (line,) = errors.splitlines()
        assert line.startswith("dunena: this system has no glibc")
        assert "pip" in line
        assert line in (ROOT / "docs" / "executable.md").read_text(encoding="utf-8")
        # Nothing there could ever be started.
        assert list(place.cache.iterdir()) == []


class TestDamage:
    @pytest.mark.parametrize("damage", ["missing", "short", "zeros", "replaced", "open"])
    def test_a_damaged_version_is_replaced(self, place: Place, damage: str) -> None:
        place.run()
        version = only(place.cache)
        file = version / "_internal" / "a.folder" / "deep" / "data"
        if damage == "missing":
            file.unlink()
        elif damage == "short":
            file.write_text("short")
        elif damage == "zeros":
            with file.open("r+b") as data:
                data.write(bytes(12_000))
        elif damage == "replaced":
            file.unlink()
            file.symlink_to("/dev/null")
        else:
            version.chmod(0o777)
        place.run()
        assert only(place.cache) == version
        assert file.read_text() == "one" * 10_000
        assert not file.is_symlink()
        assert version.stat().st_mode & 0o077 == 0

    def test_a_version_that_its_owner_may_not_read_leaves_nothing(self, place: Place) -> None:
        if os.geteuid() == 0 and sys.platform == "linux":
            # As one who may not read everything.
            place.before = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
        place.run()
        version = only(place.cache)
        (version / "_internal").chmod(0)
        version.chmod(0)
        left = place.cache / ".draft-left"
        left.mkdir()
        use_last(left, 60)
        left.chmod(0)
        place.run()
        assert only(place.cache) == version
        assert (version / "_internal" / "empty").is_file()

    @linux_only
    def test_a_file_system_without_times_is_unpacked_to_once(self, place: Place) -> None:
        refuse = ("utimensat", errno.EPERM)
        place.run(refuse=refuse)
        file = only(place.cache) / "dunena"
        before = file.stat()
        place.run(refuse=refuse)
        assert file.stat() == before
        file.write_text("short")
        place.run(refuse=refuse)
        assert file.read_text() == PROGRAM

    def test_the_programs_own_caches_are_left_alone(self, place: Place) -> None:
        place.run()
        made = only(place.cache) / "_internal" / "__pycache__" / "module.pyc"
        made.parent.mkdir()
        made.touch()
        place.run()
        assert made.exists()

    def test_an_empty_folder_in_its_place_is_replaced(self, place: Place) -> None:
        place.run()
        version = only(place.cache)
        version.rename(place.home / "elsewhere")
        version.mkdir()
        place.run()
        assert (only(place.cache) / "dunena").is_file()


@pytest.mark.skipif(sys.platform != "linux", reason="macOS starts no program that was changed")
@pytest.mark.parametrize("away", [20, 40, 60])
def test_a_damaged_download_is_not_unpacked(place: Place, tmp_path: Path, away: int) -> None:
    data = bytearray(place.file.read_bytes())
    data[data.index(b"\n\n\x28\xb5\x2f\xfd") + away] ^= 1
    damaged = tmp_path / "damaged"
    damaged.write_bytes(data)
    damaged.chmod(0o755)
    process = place.start(file=damaged)
    _, errors = process.communicate(timeout=SECONDS_MAX)
    assert process.returncode == 1
    assert "decompressing" in errors
    assert list(place.cache.iterdir()) == []


class TestOldVersions:
    def old(self, place: Place, seconds_ago: float, name: str = "0123456789abcdef") -> Path:
        """What another version left, used last so long ago."""
        version = place.cache / name
        (version / "_internal").mkdir(parents=True)
        (version / "_internal" / "file").touch()
        place.cache.chmod(0o700)
        use_last(version, seconds_ago)
        return version

    def test_a_version_that_was_not_used_for_a_week_is_removed(self, place: Place) -> None:
        version = self.old(place, WEEK_SECONDS + 60)
        place.run()
        assert not version.exists()
        assert only(place.cache).is_dir()

    def test_a_version_that_was_used_lately_is_kept(self, place: Place) -> None:
        version = self.old(place, WEEK_SECONDS - 3600)
        place.run()
        assert version.is_dir()

    def test_a_version_that_runs_is_kept(self, place: Place, maker: Maker) -> None:
        process = place.waiting()
        version = only(place.cache)
        use_last(version, 2 * WEEK_SECONDS)
        place.run(file=maker.make("two"))
        assert version.is_dir()
        process.kill()
        process.communicate(timeout=SECONDS_MAX)
        place.run(file=maker.make("three"))
        assert not version.exists()

    def test_what_others_keep_in_the_cache_is_left_alone(self, place: Place) -> None:
        kept = self.old(place, WEEK_SECONDS * 2, "notes")
        place.run()
        assert kept.is_dir()

    @pytest.mark.parametrize(("seconds_ago", "is_kept"), [(1, True), (60, False)])
    def test_what_killed_starts_left_is_removed(
        self, place: Place, seconds_ago: float, is_kept: bool
    ) -> None:
        draft = self.old(place, seconds_ago, ".draft-left")
        place.run()
        assert draft.exists() is is_kept

    def test_what_another_start_unpacks_is_kept(self, place: Place) -> None:
        draft = self.old(place, WEEK_SECONDS, ".draft-busy")
        folder = os.open(draft, os.O_RDONLY)
        fcntl.flock(folder, fcntl.LOCK_SH)
        try:
            place.run()
            assert draft.is_dir()
        finally:
            os.close(folder)


def test_sources_are_unpacked_by_the_oldest_python(
    maker: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "source.c").write_text("int main(void);")
    with tarfile.open(tmp_path / "sources.tar.gz", "w:gz") as packed:
        packed.add(tmp_path / "source.c", "sources/source.c")
    newer = tarfile.TarFile.extractall

    # As it was in Python 3.11.0 to 3.11.3.
    def extractall(archive: Any, path: Any = ".", members: Any = None, *, numeric_owner=False):
        newer(archive, path, members, numeric_owner=numeric_owner)

    monkeypatch.setattr(tarfile.TarFile, "extractall", extractall)
    maker.launcher.unpack(tmp_path / "sources.tar.gz", tmp_path)
    assert (tmp_path / "sources" / "source.c").read_text() == "int main(void);"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc shows what a process has open")
def test_closed_standard_files_stay_closed(place: Place, tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", 'exec "$0" wait <&- >&- 2>&-', str(place.file)]
    process = subprocess.Popen(command, env=place.environ)
    try:
        end = time.monotonic() + SECONDS_MAX
        while b"sleep" not in Path(f"/proc/{process.pid}/cmdline").read_bytes():
            assert time.monotonic() < end
            time.sleep(0.01)
        opened = {
            int(one.name): str(one.readlink()) for one in Path(f"/proc/{process.pid}/fd").iterdir()
        }
        numbers = [number for number, file in opened.items() if str(place.cache) in file]
        assert len(numbers) == 1
        assert numbers[0] > 2
    finally:
        process.kill()
        process.wait()
