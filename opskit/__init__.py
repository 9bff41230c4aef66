"""Backup and operations toolkit for a Model Registry."""

__version__ = "0.1.0"
