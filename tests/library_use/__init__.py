"""The classes as other people's programs use them."""
