"""Start of the service in its container. Settings come from the environment, the token from a Secret by
reference.

CONTROL_TOKEN (required), IMAGE_NAMESPACES (comma-separated, empty: all), CACHE_SECONDS (2), PORT (8000).
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys

from aiohttp import web

from .cluster import ApiServer
from .service import make_app


async def serve() -> None:
    """Serve until SIGTERM. Raises SystemExit where a setting is missing or wrong."""
    token = os.environ.get("CONTROL_TOKEN", "")
    if not token.startswith("tk_"):
        sys.exit("CONTROL_TOKEN must be set to a token that begins with 'tk_'.")
    namespaces = [name for name in os.environ.get("IMAGE_NAMESPACES", "").split(",") if name]
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with ApiServer(namespaces) as cluster:
        app = make_app(cluster, token, float(os.environ.get("CACHE_SECONDS", "2")))
        # No access log: probes and the hub ask every few seconds, and what matters is logged where it happens.
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        # Every address: the pod's own is what the Service sends to.
        await web.TCPSite(runner, "0.0.0.0", int(os.environ.get("PORT", "8000"))).start()  # noqa: S104
        await stop.wait()
        await runner.cleanup()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(serve())
