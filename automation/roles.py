"""What roles allow. A role is a Django group of that name; a user may have several."""

READS = frozenset({"inventory:read", "runs:read"})
SCOPES = READS | {
    "inventory:write",
    "credentials:write",
    "runs:submit",
    "runs:control",
    "runs:approve",
    "proposals:write",
    "admin",
}
ROLES: dict[str, frozenset[str]] = {
    "viewer": READS,
    "operator": READS | {"runs:submit", "runs:control", "proposals:write"},
    "approver": READS | {"runs:approve", "runs:control"},
    "admin": SCOPES,
}
