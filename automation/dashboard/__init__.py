"""The pages of the automation side: views are thin, rules are elsewhere."""
