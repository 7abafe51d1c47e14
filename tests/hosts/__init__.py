"""Real Linux test hosts on one machine: own namespaces, systemd, OpenSSH, apt and nginx in each.

Tests take them from `tests.hosts.fixtures`; people from `python -m tests.hosts`.
"""
