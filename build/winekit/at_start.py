"""What every Python under Wine runs first, as its `sitecustomize`."""

import _winapi

# Wine has no such function, and ends a program that calls it. Without it, `shutil` copies files
# as on other systems.
vars(_winapi).pop("CopyFile2", None)
