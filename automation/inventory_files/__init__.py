"""Inventory files: read row by row from JSON, CSV and Ansible inventories, and written again."""
