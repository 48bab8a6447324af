"""The machine's file system and its rules for names, for files that are no values of a
folder."""

from dunena.persistence.disk.disk import Disk, Stamp, join
from dunena.persistence.disk.files import (
    TEXT_SUFFIX,
    key_file_name,
    namespace_folder_name,
    text_file_name,
    text_folder_name,
)
from dunena.persistence.disk.paths import extended, folds_case
from dunena.persistence.disk.real_disk import RealDisk

__all__ = [
    "TEXT_SUFFIX",
    "Disk",
    "RealDisk",
    "Stamp",
    "extended",
    "folds_case",
    "join",
    "key_file_name",
    "namespace_folder_name",
    "text_file_name",
    "text_folder_name",
]
