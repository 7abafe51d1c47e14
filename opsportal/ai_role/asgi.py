"""The AI service as an ASGI application: pages and API, and no WebSockets: nothing runs here."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opsportal.settings")
application = get_asgi_application()
