"""A token that came with a request and goes on with it to the automation service."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PassedOnToken:
    """Its text, and what the automation service says it may do there."""

    text: str = field(repr=False)
    kind: str
    scopes: frozenset[str]

    def has_scope(self, scope: str) -> bool:
        return scope in self.scopes
