"""Wakes what nobody holds."""


def sweep() -> None:
    """One round; called every second in the control cluster."""
