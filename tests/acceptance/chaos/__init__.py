"""Rounds of faults against the real product, judged by what really happened on the targets."""
