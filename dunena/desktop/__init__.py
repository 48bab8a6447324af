"""The desktop around the program: folders, terminal, browser, and running from one file."""
