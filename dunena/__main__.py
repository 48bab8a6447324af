"""``python -m dunena`` runs the program, as the script ``dunena`` does."""

from dunena.cli import main

if __name__ == "__main__":
    main()
