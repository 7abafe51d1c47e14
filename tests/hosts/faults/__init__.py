"""Faults: what can be wrong with a host, put on and taken away while it runs."""
