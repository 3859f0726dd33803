"""Pages are fetched within bounds: sizes, types, robots, redirects. Times are in test_web_times."""

import gzip
import tracemalloc
import zlib
from types import SimpleNamespace

import anyio
import pytest
from web_replies import http, redirect

from guardflow.sources import bodies
from guardflow.sources.bodies import Limits
from guardflow.sources.web import WebFetcher

pytestmark = pytest.mark.anyio

ROBOTS = "/robots.txt"
ARTICLE = (
    "<html><head><title>Harbour</title><meta property='article:published_time' content='2024-05-06T10:00'></head>"
    "<body><nav><a href=/>Home</a></nav><article><h1>The harbour</h1>"
    + "".join(
        f"<p>In {year} the harbour of Alvast handled {year * 2} ships, more than the year before it.</p>"
        for year in range(1990, 1998)
    )
    + "</article></body></html>"
)


async def test_a_page_becomes_a_document(site):
    site.routes["/a"] = http(ARTICLE)
    async with site.fetcher() as web:
        fetched = await web.fetch(site.url("/a#part"))
    assert fetched.failure is None
    assert fetched.document.title == "Harbour"
    assert "In 1990 the harbour" in fetched.document.text and "Home" not in fetched.document.text
    assert str(fetched.document.published) == "2024-05-06"
    assert (fetched.status, fetched.final_url, fetched.requests) == (200, site.url("/a"), 1)
    assert fetched.document.uri == site.url("/a")
    assert site.requests == [ROBOTS, "/a"]
    assert (
        "user-agent: guardflow/" in site.heads[1].lower()
        and f"host: site.test:{site.port}" in site.heads[1].lower()
    )
    assert type(fetched).model_validate_json(fetched.model_dump_json()) == fetched


@pytest.mark.parametrize(
    ("path", "kind", "body", "expected"),
    [
        ("/t.txt", "text/plain", "Plain words.", ("text", "Plain words.")),
        ("/r.md", "text/plain", "# Head\n\nSome *words*.", ("markdown", "Head\n\nSome words.")),
        ("/r", "text/markdown; charset=utf-8", "- one\n- two", ("markdown", "- one\n- two")),
        ("/x", "application/xhtml+xml", "<p>Some words.</p>", ("html", "Some words.")),
        ("/n", "", "<p>Some words.</p>", ("html", "Some words.")),
    ],
)
async def test_types_are_read_as_what_they_are(site, path, kind, body, expected):
    site.routes[path] = http(body, kind=kind)
    async with site.fetcher() as web:
        document = (await web.fetch(site.url(path))).document
    assert (document.kind, document.text) == expected


@pytest.mark.parametrize("kind", ["image/png", "application/json", "application/octet-stream", "text/css"])
async def test_other_types_are_not_read(site, kind):
    site.routes["/a"] = http("x" * 1000, kind=kind)
    async with site.fetcher() as web:
        fetched = await web.fetch(site.url("/a"))
    assert fetched.failure.reason == "content_type" and kind in fetched.failure.detail


async def test_a_wrong_charset_does_not_garble_utf8_and_a_right_one_is_used(site):
    site.routes["/lie"] = http("<p>Größe für Łódź</p>", kind="text/html; charset=iso-8859-1")
    site.routes["/koi"] = http("<p>Привет</p>".encode("koi8-r"), kind="text/html; charset=koi8-r")
    site.routes["/meta"] = http(
        b"<meta charset=windows-1251><p>" + "Привет".encode("cp1251"), kind="text/html"
    )
    site.routes["/utf7"] = http(b"<p>+ADw-script+AD4-</p>", kind="text/html; charset=utf-7")
    site.routes["/odd"] = http("<p>Zürich</p>".encode("cp1252"), kind="text/html; charset=klingon")
    async with site.fetcher() as web:
        text = {path: (await web.fetch(site.url(path))).document.text for path in site.routes}
    assert text == {
        "/lie": "Größe für Łódź",
        "/koi": "Привет",
        "/meta": "Привет",
        "/utf7": "+ADw-script+AD4-",
        "/odd": "Zürich",
    }


async def test_a_body_without_text_is_a_failure(site):
    site.routes["/empty"] = http("<html></html>")
    site.routes["/binary"] = http(bytes(range(256)) * 20, kind="text/plain")
    site.routes["/pdf"] = http(b"%PDF-1.4 broken", kind="application/pdf")
    async with site.fetcher() as web:
        reasons = [(await web.fetch(site.url(path))).failure.reason for path in site.routes]
    assert reasons == ["unreadable"] * 3


# --- sizes -----------------------------------------------------------------------------------------------


def bomb(megabytes, wbits):
    """A compressed body of zeros, made of one flushed block over and over."""
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    start = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = bytes(2**20)
    packer.compress(zeros)
    packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + block * megabytes


@pytest.mark.parametrize(
    ("encoding", "wbits"),
    [("gzip", zlib.MAX_WBITS | 16), ("deflate", zlib.MAX_WBITS), ("deflate", -zlib.MAX_WBITS)],
)
async def test_a_gigabyte_of_packed_zeros_stops_early(site, encoding, wbits, monkeypatch):
    unpacked = 0

    class Counted:
        """zlib's unpacker; it counts what comes out."""

        def __init__(self, wbits):
            self._zlib = zlib.decompressobj(wbits)

        def decompress(self, data, most):
            nonlocal unpacked
            out = self._zlib.decompress(data, most)
            unpacked += len(out)
            return out

        def __getattr__(self, name):
            return getattr(self._zlib, name)

    body = bomb(1024, wbits)
    assert len(body) < 3 * 2**20
    assert len(zlib.decompressobj(wbits).decompress(body, 3 * 2**20)) == 3 * 2**20  # it is what it says
    site.routes["/bomb"] = http(body, Content_Encoding=encoding)
    monkeypatch.setattr(bodies, "zlib", SimpleNamespace(**{**vars(zlib), "decompressobj": Counted}))
    async with site.fetcher() as web:
        await web.fetch(site.url("/other"))
        tracemalloc.start()
        try:
            fetched = await web.fetch(site.url("/bomb"))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert fetched.failure.reason == "too_large" and "unpacks" in fetched.failure.detail
    assert peak < 60 * 2**20
    assert 20 * 2**20 < unpacked < 30 * 2**20
    assert fetched.requests == 1  # there is no point in trying again


async def test_a_long_body_is_cut_off_by_its_header_or_while_it_arrives(site):
    sent = 0

    async def endless(writer):
        nonlocal sent
        writer.write(b"HTTP/1.1 200 X\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n")
        while sent < 200 * 2**20:
            writer.write(b"word " * 20_000)
            sent += 100_000
            await writer.drain()

    site.routes["/endless"] = endless
    site.routes["/said"] = http(b"", kind="text/plain").replace(b"Length: 0", b"Length: 99999999")
    async with site.fetcher() as web:
        for path in ("/endless", "/said"):
            assert (await web.fetch(site.url(path))).failure.reason == "too_large"
    assert sent < 40 * 2**20  # what buffers hold


async def test_packed_bodies_are_unpacked_and_broken_ones_refused(site):
    page = b"<p>Some words.</p>"
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    site.routes = {
        "/gzip": http(gzip.compress(page), Content_Encoding="gzip"),
        "/members": http(gzip.compress(b"<p>Some ") + gzip.compress(b"words.</p>"), Content_Encoding="gzip"),
        "/deflate": http(zlib.compress(page), Content_Encoding="deflate"),
        "/raw": http(raw.compress(page) + raw.flush(), Content_Encoding="deflate"),
        "/cut": http(gzip.compress(page)[:-12], Content_Encoding="gzip"),
        "/junk": http(b"not packed at all", Content_Encoding="gzip"),
        "/br": http(b"\x0b\x02\x80abc\x03", Content_Encoding="br"),
        "/twice": http(gzip.compress(gzip.compress(page)), Content_Encoding="gzip, gzip"),
    }
    async with site.fetcher() as web:
        for path in ("/gzip", "/members", "/deflate", "/raw"):
            assert (await web.fetch(site.url(path))).document.text == "Some words."
        for path in ("/cut", "/junk", "/br", "/twice"):
            assert (await web.fetch(site.url(path))).failure.reason == "unreadable", path
    assert "accept-encoding: gzip, deflate\r\n" in site.heads[1].lower()


async def test_limits_can_be_set(site):
    site.routes["/a"] = http("x" * 2000, kind="text/plain")
    async with site.fetcher(limits=Limits(received=1000)) as web:
        assert (await web.fetch(site.url("/a"))).failure.reason == "too_large"


# --- robots and redirects ----------------------------------------------------------------------------------


async def test_robots_rules_are_obeyed_for_our_name(site):
    site.routes[ROBOTS] = http(
        "User-agent: guardflow\nDisallow: /private\nAllow: /private/ok\n\nUser-agent: *\nDisallow: /",
        kind="text/plain",
    )
    site.routes |= {path: http("Words.", kind="text/plain") for path in ("/a", "/private/x", "/private/ok")}
    async with site.fetcher() as web:
        outcome = {path: await web.fetch(site.url(path)) for path in ("/a", "/private/x", "/private/ok")}
    assert outcome["/private/x"].failure.reason == "robots"
    assert outcome["/a"].document and outcome["/private/ok"].document
    assert site.requests == [ROBOTS, "/a", "/private/ok"]
    async with site.fetcher(user_agent="other/1.0") as web:
        assert (await web.fetch(site.url("/a"))).failure.reason == "robots"


@pytest.mark.parametrize(
    ("robots", "fetched"),
    [
        (http("", status=404), True),
        (http("", status=403), True),
        (http("", status=500), False),
        (http("", status=503), False),
        (b"", False),
        (http("", kind="text/plain"), True),
        (http("<html>not found</html>"), True),
        (http("User-agent: *\nDisallow: /\n" + "#" * 600_000, kind="text/plain"), False),
    ],
)
async def test_no_robots_permits_and_broken_robots_forbids(site, robots, fetched):
    site.routes = {ROBOTS: robots, "/a": http("Words.", kind="text/plain")}
    async with site.fetcher() as web:
        outcome = await web.fetch(site.url("/a"))
    assert (outcome.document is not None) is fetched
    assert fetched or outcome.failure.reason == ("robots" if robots else "connection")
    assert fetched or "/a" not in site.requests


async def test_a_redirected_robots_file_counts(site):
    site.routes = {
        ROBOTS: redirect("/rules/robots.txt", 301),
        "/rules/robots.txt": http("User-agent: *\nDisallow: /a", kind="text/plain"),
        "/a": http("Words.", kind="text/plain"),
        "/b": http("Words.", kind="text/plain"),
    }
    async with site.fetcher() as web:
        assert (await web.fetch(site.url("/a"))).failure.reason == "robots"
        assert (await web.fetch(site.url("/b"))).document


async def test_robots_that_redirect_for_ever_count_as_missing_and_to_the_inside_as_broken(site):
    site.routes = {ROBOTS: redirect(ROBOTS), "/a": http("Words.", kind="text/plain")}
    async with site.fetcher() as web:
        assert (await web.fetch(site.url("/a"))).document
    site.routes[ROBOTS] = redirect("http://169.254.169.254/latest/")
    async with site.fetcher() as web:
        assert (await web.fetch(site.url("/a"))).failure.reason == "robots"


async def test_robots_are_asked_again_where_a_redirect_leads(site):
    site.routes = {
        "/a": redirect(f"http://elsewhere.test:{site.port}/b"),
        "/b": http("Words.", kind="text/plain"),
        ROBOTS: [http("", status=404), http("User-agent: *\nDisallow: /b", kind="text/plain")],
    }
    async with site.fetcher() as web:
        fetched = await web.fetch(site.url("/a"))
    assert fetched.failure.reason == "robots" and "/b" not in site.requests
    assert "elsewhere.test" in fetched.final_url


async def test_five_redirects_are_followed_and_no_sixth(site):
    site.routes = {f"/{i}": redirect(f"../{i - 1}", 307) for i in range(1, 7)} | {
        "/0": http("Words.", kind="text/plain")
    }
    async with site.fetcher() as web:
        five, six = await web.fetch(site.url("/5")), await web.fetch(site.url("/6"))
    assert (five.document.uri, five.final_url, five.url) == (site.url("/0"), site.url("/0"), site.url("/5"))
    assert six.failure.reason == "redirects" and six.requests == 6


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://169.254.169.254/latest/meta-data", "private_address"),
        ("http://10.0.0.1/", "private_address"),
        ("http://[::ffff:127.0.0.1]/", "private_address"),
        ("file:///etc/passwd", "bad_url"),
        ("ftp://site.test/x", "bad_url"),
        ("http://site.test:22/", "bad_url"),
        ("http://user:secret@site.test/", "bad_url"),
        ("javascript:alert(1)", "bad_url"),
        ("http://2130706433/", "bad_url"),
        ("http://0x7f.1/", "bad_url"),
        ("http://[::1", "redirects"),
        ("", "redirects"),
    ],
)
async def test_redirects_to_the_inside_or_nowhere_are_refused(site, location, reason):
    site.routes["/a"] = redirect(location)
    literal = {
        "169.254.169.254": ["169.254.169.254"],
        "10.0.0.1": ["10.0.0.1"],
        "::ffff:127.0.0.1": ["::ffff:127.0.0.1"],
    }

    async def resolver(host, port):
        return literal.get(host.strip("[]"), ["127.0.0.1"])

    async with site.fetcher(resolver=resolver) as web:
        fetched = await web.fetch(site.url("/a"))
    assert fetched.failure.reason == reason


async def test_cookies_are_not_kept_and_no_proxy_is_asked(site, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    site.routes |= {
        "/a": http("Words.", kind="text/plain", Set_Cookie="id=1; Path=/"),
        "/b": http("Words.", kind="text/plain"),
    }
    async with site.fetcher() as web:
        assert (await web.fetch(site.url("/a"))).document
        assert (await web.fetch(site.url("/b"))).document
    assert not any("cookie:" in head.lower() for head in site.heads)


def test_a_fetcher_can_be_made_before_there_is_a_loop():
    web = WebFetcher()

    async def use():
        async with web:
            return await web.fetch("http://127.0.0.1/")

    assert anyio.run(use).failure.reason == "private_address"
