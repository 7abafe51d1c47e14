"""What every test needs. The environment of the tests is made in `tests/settings.py`."""
