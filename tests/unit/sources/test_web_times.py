"""A fetch ends in time, lets itself be cancelled, tries again what passes, and asks no host too often."""

import asyncio
import threading
import time

import anyio
import pytest
from web_replies import http

from guardflow.sources import web as web_module

pytestmark = pytest.mark.anyio

ROBOTS = "/robots.txt"
WAIT = 120.0
"""Seconds after which something hangs; far more than it takes on a slow machine."""


async def silent(writer):
    await asyncio.Event().wait()


async def test_a_body_that_trickles_ends_at_the_deadline(site):
    async def slow(writer):
        writer.write(b"HTTP/1.1 200 X\r\nContent-Type: text/plain\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    site.routes |= {"/slow": slow, "/silent": silent}
    async with site.fetcher(deadline=0.4) as web:
        for path in ("/slow", "/silent"):
            started = time.monotonic()
            with anyio.fail_after(WAIT):  # neither ever ends by itself
                fetched = await web.fetch(site.url(path))
            assert fetched.failure.reason == "timeout"
            assert time.monotonic() - started > 0.3


async def test_a_cancelled_fetch_is_cancelled(site):
    site.routes["/silent"] = silent
    async with site.fetcher() as web:
        async with anyio.create_task_group() as group:
            group.start_soon(web.fetch, site.url("/silent"))
            with anyio.fail_after(WAIT):
                while "/silent" not in site.requests:
                    await anyio.sleep(0.01)
            group.cancel_scope.cancel()
        site.routes["/a"] = http("Words.", kind="text/plain")
        assert (await web.fetch(site.url("/a"))).document.text == "Words."


async def test_a_fetch_is_cancelled_while_a_page_is_read(site, monkeypatch):
    reading, cancelled = threading.Event(), threading.Event()

    def slow(*args, **options):
        reading.set()
        assert cancelled.wait(WAIT), "the fetch waited for the reader"
        raise AssertionError("nobody waits for this")

    monkeypatch.setattr(web_module, "read", slow)
    site.routes["/a"] = http("Words.", kind="text/plain")
    async with site.fetcher() as web:
        async with anyio.create_task_group() as group:
            group.start_soon(web.fetch, site.url("/a"))
            with anyio.fail_after(WAIT):
                while not reading.is_set():
                    await anyio.sleep(0.01)
            group.cancel_scope.cancel()
        cancelled.set()


async def test_passing_trouble_is_tried_again_twice(site):
    fine = http("Words.", kind="text/plain")
    busy = http("", status=503)
    site.routes |= {
        "/twice": [busy, busy, fine],
        "/thrice": [busy, busy, busy, fine],
        "/gone": http("", status=410),
    }
    async with site.fetcher() as web:
        twice, thrice, gone = [await web.fetch(site.url(path)) for path in ("/twice", "/thrice", "/gone")]
    assert (twice.document.text, twice.requests) == ("Words.", 3)
    assert (thrice.failure.reason, thrice.status, thrice.requests) == ("status", 503, 3)
    assert thrice.failure.transient and not gone.failure.transient
    assert (gone.status, gone.requests) == (410, 1)


async def test_a_dropped_connection_is_tried_again(site):
    fine = http("Words.", kind="text/plain")
    site.routes["/a"] = [fine[:-3], b"", fine]
    async with site.fetcher() as web:
        fetched = await web.fetch(site.url("/a"))
    assert (fetched.document.text, fetched.requests) == ("Words.", 3)


async def test_retry_after_is_kept_but_not_beyond_the_deadline(site):
    fine = http("Words.", kind="text/plain")
    site.routes["/soon"] = [http("", status=429, Retry_After="1"), fine]
    site.routes["/late"] = [http("", status=429, Retry_After="3600"), fine]
    async with site.fetcher(deadline=WAIT) as web:
        started = time.monotonic()
        assert (await web.fetch(site.url("/soon"))).requests == 2
        assert time.monotonic() - started >= 1
        with anyio.fail_after(WAIT / 2):
            late = await web.fetch(site.url("/late"))
    assert (late.status, late.requests) == (429, 1)


async def test_a_host_is_asked_by_two_at_a_time(site):
    async def page(writer):
        while site.most_open < 2:  # the first waits for the second
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)  # and a third, if one were let in, would come meanwhile
        writer.write(http("Words.", kind="text/plain"))
        await writer.drain()

    site.routes |= {f"/{i}": page for i in range(8)}
    async with site.fetcher() as web, anyio.create_task_group() as group:
        for i in range(8):
            group.start_soon(web.fetch, site.url(f"/{i}"))
    assert site.most_open == 2
    assert site.requests.count(ROBOTS) == 1 and len(site.requests) == 9


async def test_a_crawl_delay_spaces_requests(site):
    site.routes |= {ROBOTS: http("User-agent: *\nCrawl-delay: 0.3", kind="text/plain")}
    site.routes |= {f"/{i}": http("Words.", kind="text/plain") for i in range(3)}
    async with site.fetcher() as web:
        started = time.monotonic()
        async with anyio.create_task_group() as group:
            for i in range(3):
                group.start_soon(web.fetch, site.url(f"/{i}"))
    assert time.monotonic() - started >= 0.6
