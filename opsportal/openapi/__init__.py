"""The API described as OpenAPI 3.1, from its routes, its serializers and the shapes of its answers."""
