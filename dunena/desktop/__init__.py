"""The person's system around the program: its folders, its terminal, its browser, one-file life."""
