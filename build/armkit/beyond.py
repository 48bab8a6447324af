"""What the emulator cannot do: tests that fail under it and would pass on a machine for ARM64.

A name is that of a test function; all of its parameters are meant. Those tests are expected to
fail, and one that passes is reported, to be taken out.
"""

BEYOND_QEMU: dict[str, str] = {
    "tests/binary/test_file.py::"
    "test_the_executable_says_what_is_missing_where_there_is_no_c_library": (
        "qemu itself looks for the loader, when the launcher has been replaced already"
    ),
}

BEYOND_PURE: dict[str, str] = {
    "tests/binary/test_serving.py::test_the_hot_modules_of_the_executable_are_compiled": (
        "this executable was built with --pure"
    ),
}
"""The same for what an executable without compiled modules cannot do."""
