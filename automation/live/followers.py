"""How many follow something live in this process."""

from prometheus_client import Gauge

FOLLOWERS = Gauge(
    "opsportal_live_followers",
    "Open WebSockets and event streams of the web process that answered.",
    ["by"],
)
SOCKETS = FOLLOWERS.labels("websocket")
STREAMS = FOLLOWERS.labels("event_stream")
