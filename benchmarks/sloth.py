"""A model server in a process of its own: `/fast` answers at once, `/slow` after two seconds, `/hang` never.

python -m benchmarks.sloth PORT
"""

from __future__ import annotations

import asyncio
import sys

from aiohttp import web


async def answer(request: web.Request) -> web.Response:
    """The reply to one event."""
    await request.read()
    if request.path == "/slow":
        await asyncio.sleep(2.0)
    elif request.path == "/hang":
        await asyncio.Event().wait()
    return web.json_response({"score": 0.5})


if __name__ == "__main__":
    app = web.Application()
    app.router.add_post("/{how}", answer)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
