"""Makes all pictures; `build/dev.py pictures` runs it with the Python of .venv.

The fonts Inter and JetBrains Mono are in them where the machine has these (on Debian the packages
fonts-inter and fonts-jetbrains-mono), otherwise its own.
"""

import sys

from devkit.requirements import ROOT

from picturekit.animation import make_animations
from picturekit.show import open_browser
from picturekit.start_screen import make_start_screen_picture
from picturekit.templates import make_template_pictures

FOLDER = ROOT / "docs" / "images"


def main() -> int:
    """Write the pictures into docs/images."""
    with open_browser() as browser:
        make_start_screen_picture(browser, FOLDER)
        make_template_pictures(browser, FOLDER)
        make_animations(browser, FOLDER)
    return 0


if __name__ == "__main__":
    sys.exit(main())
