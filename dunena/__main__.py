"""``python -m dunena``."""

from dunena.cli import main

if __name__ == "__main__":
    main()
