"""What only PostgreSQL has or does; a pytest process of its own, see conftest."""
