"""Storing changes: a small interface and the engines that implement it."""
