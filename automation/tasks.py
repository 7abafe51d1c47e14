"""What the queue can wake: each task looks at the row of that number and decides for itself what is due."""

from automation.workers import leases


def probe(number: int) -> None:
    """The watchdog's question; an answer proves that this cluster's queue moves."""
    leases.answer_probe(number)
