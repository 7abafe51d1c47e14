"""The administration pages: set-up only. Nothing here shows a secret, and nothing decides on a run."""

from automation.admin import authorities as authorities
from automation.admin import credentials as credentials
from automation.admin import inventory as inventory
from automation.admin import queue as queue
from automation.admin import records as records
from automation.admin import tokens as tokens
