"""Backups: one zip file with all values and pages of a moment, its checks, and what it changes."""
