"""What people, programs and machines do wrong, through the whole product: a clear error or a right result.

Each part's own odd input is tried where the part is tested: the language in `tests/definitions`, bodies and
fields in `tests/api`, every operation of the document in `tests/openapi`, inventory files in
`tests/inventory`, servers that misbehave in `tests/libraries`, odd hosts in `tests/acceptance/envelope`,
hostile text on pages in `tests/browser`, PostgreSQL that goes away in `tests/on_postgresql`.
"""
