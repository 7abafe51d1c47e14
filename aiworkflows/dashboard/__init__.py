"""The page of a proposal."""
