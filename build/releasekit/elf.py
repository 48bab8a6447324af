"""Which versions of the C library a Linux program or library needs.

Read from the tables that the dynamic linker itself reads (System V ABI, "Dynamic Section", and LSB,
"Symbol Versioning"), not from the section headers: those may be stripped, and nothing at run time
looks at them.
"""

import struct
from collections.abc import Iterator

MAGIC = b"\x7fELF"

_CLASS_64, _LITTLE_ENDIAN = 2, 1
_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_STRTAB, _DT_VERNEED, _DT_VERNEEDNUM = 5, 0x6FFFFFFE, 0x6FFFFFFF

_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
_DYNAMIC_ENTRY = struct.Struct("<qQ")
_NEED = struct.Struct("<HHIII")
_NEED_VERSION = struct.Struct("<IHHII")


class ElfError(ValueError):
    """Not a 64-bit little-endian ELF file, or a damaged one."""


def needed_versions(data: bytes) -> set[str]:
    """The names of the symbol versions it needs of other libraries, such as `GLIBC_2.28`.

    Empty for one that is linked statically. Raises ElfError.
    """
    if data[:4] != MAGIC or data[4:6] != bytes((_CLASS_64, _LITTLE_ENDIAN)):
        raise ElfError("not a 64-bit little-endian ELF file")
    try:
        return set(_versions(data))
    except (struct.error, IndexError) as error:
        raise ElfError("damaged ELF file") from error


def _versions(data: bytes) -> Iterator[str]:
    headers = list(_program_headers(data))
    dynamic = _dynamic_table(data, headers)
    if _DT_VERNEED not in dynamic:
        return
    need = _file_offset(headers, dynamic[_DT_VERNEED])
    strings = _file_offset(headers, dynamic[_DT_STRTAB])
    for _ in range(dynamic[_DT_VERNEEDNUM]):
        _, count, _, first, next_need = _NEED.unpack_from(data, need)
        entry = need + first
        for _ in range(count):
            _, _, _, name, next_entry = _NEED_VERSION.unpack_from(data, entry)
            start = strings + name
            yield data[start : data.index(b"\0", start)].decode("ascii", "replace")
            entry += next_entry
        need += next_need


def _program_headers(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Kind, offset, address and size in the file of each segment."""
    (table,) = struct.unpack_from("<Q", data, 0x20)
    size, count = struct.unpack_from("<HH", data, 0x36)
    for index in range(count):
        kind, _, offset, address, _, file_size, _, _ = _PROGRAM_HEADER.unpack_from(
            data, table + index * size
        )
        if offset + file_size > len(data):
            raise ElfError("damaged ELF file: it ends too early")
        yield kind, offset, address, file_size


def _dynamic_table(data: bytes, headers: list[tuple[int, int, int, int]]) -> dict[int, int]:
    table: dict[int, int] = {}
    for kind, offset, _, size in headers:
        if kind == _PT_DYNAMIC:
            for tag, value in _DYNAMIC_ENTRY.iter_unpack(data[offset : offset + size]):
                table.setdefault(tag, value)
    return table


def _file_offset(headers: list[tuple[int, int, int, int]], address: int) -> int:
    for kind, offset, start, size in headers:
        if kind == _PT_LOAD and start <= address < start + size:
            return offset + address - start
    raise ElfError("damaged ELF file: an address outside of every segment")
