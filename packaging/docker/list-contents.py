"""Lists what is in this container, as JSON, for the image's bill of materials.

    docker run --rm --interactive --entrypoint python IMAGE - < list-contents.py

It comes in on standard input, as an image has nothing in it that its users do not need.
"""

import importlib.metadata
import json
import platform
import subprocess
import sys


def main() -> None:
    """Print the list."""
    packages = importlib.metadata.distributions()
    contents = {
        "python": platform.python_version(),
        "packages": sorted(
            (
                {"name": one.name, "version": one.version}
                for one in packages
                if one.name != "dunena"
            ),
            key=lambda package: package["name"],
        ),
        "system": platform.freedesktop_os_release()["ID"],
        "system_packages": system_packages(),
    }
    json.dump(contents, sys.stdout, indent=1)


def system_packages() -> list[dict[str, str]]:
    """The system's packages, by name; dpkg prints them in that order."""
    form = "${Package} ${Version}\\n"
    done = subprocess.run(
        ["dpkg-query", "--show", "--showformat", form], capture_output=True, text=True, check=True
    )
    pairs = (line.split(" ") for line in done.stdout.splitlines())
    return [{"name": name, "version": version} for name, version in pairs]


if __name__ == "__main__":
    main()
