"""Connections go to public addresses only, and to the very address that was checked."""

import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardflow.sources.addresses import is_public, may_connect
from guardflow.sources.web import WebFetcher

anyio_test = pytest.mark.anyio

PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\nConnection: close\r\n\r\nWords."
PRIVATE = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "0.1.2.3",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.0.1",
    "239.1.1.1",
    "255.255.255.255",
    "240.0.0.1",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%lo",
    "fec0::1",
    "ff02::1",
    "5f00::1",
    "no address",
    "",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_of_the_inside_is_not_public(address):
    assert not is_public(address)
    assert not may_connect(address, 80, ())


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1", "2a00:1450::5"]
)
def test_an_address_of_the_outside_is(address):
    assert is_public(address)
    assert may_connect(address, 443, ())
    assert not may_connect(address, 22, ())


@given(st.ip_addresses())
def test_what_is_public_is_global_unicast(address):
    if is_public(str(address)):
        assert address.is_global and not address.is_multicast and not address.is_reserved


def test_an_exception_is_for_one_socket():
    allow = {"127.0.0.1:9000", "[::1]:9000"}
    assert may_connect("127.0.0.1", 9000, allow) and may_connect("::1", 9000, allow)
    assert not may_connect("127.0.0.1", 80, allow) and not may_connect("127.0.0.2", 9000, allow)
    assert not may_connect("8.8.8.8", 22, {"8.8.8.8:9000"}) and may_connect("8.8.8.8", 9000, {"8.8.8.8:9000"})
    assert may_connect("8.8.8.8", 80, allow) and not may_connect("8.8.8.8", 9000, allow)


@anyio_test
@pytest.mark.parametrize("address", PRIVATE)
async def test_a_host_at_such_an_address_is_not_connected_to(address):
    async def resolver(host, port):
        return [address]

    async with WebFetcher(resolver=resolver) as web:
        fetched = await web.fetch("http://innocent.test/")
    assert (fetched.failure.reason, fetched.requests) == ("private_address", 0)
    assert "innocent.test" in fetched.failure.detail and not fetched.failure.transient


@anyio_test
async def test_a_host_without_an_address_is_unknown():
    async def resolver(host, port):
        raise OSError("no such host")

    async with WebFetcher(resolver=resolver) as web:
        assert (await web.fetch("http://nobody.test/")).failure.reason == "unknown_host"


@anyio_test
@pytest.mark.parametrize(
    "url", ["http://localhost/", "http://127.0.0.1/", "http://[::1]:8080/", "http://0.0.0.0/"]
)
async def test_this_machine_is_refused_with_the_real_resolver(url):
    async with WebFetcher() as web:
        assert (await web.fetch(url)).failure.reason == "private_address"


@anyio_test
@pytest.mark.parametrize(
    "url",
    [
        "",
        "not a url",
        "//host.test/x",
        "file:///etc/passwd",
        "gopher://host.test/",
        "http://",
        "http:///x",
        "http://user:pw@host.test/",
        "http://user@host.test/",
        "http://host.test:22/",
        "http://host.test:0/",
        "http://host.test:99999/",
        "http://host.test\\@127.0.0.1/",
        "http://127.1/",
        "http://0177.0.0.1/",
        "http://2130706433/",
        "http://[::1%25lo]/",
        "http://ho st.test/",
        "http://host.test\x00.evil.test/",
        "http://" + "a" * 300 + ".test/",
    ],
)
async def test_odd_urls_are_refused_before_any_connection(url):
    async def resolver(host, port):
        raise AssertionError(f"{host!r} was resolved")

    async with WebFetcher(resolver=resolver) as web:
        assert (await web.fetch(url)).failure.reason == "bad_url"


@anyio_test
async def test_the_checked_address_is_the_one_connected_to(site):
    """DNS rebinding: the second answer would be another host. There is no second question for a connection."""
    site.routes["/a"] = PAGE
    asked = []

    async def resolver(host, port):
        asked.append(host)
        return ["127.0.0.1"] if len(asked) <= 2 else ["169.254.169.254"]

    async with site.fetcher(resolver=resolver) as web:
        assert (await web.fetch(site.url("/a"))).document.text == "Words."
        assert asked == ["site.test"] * 2  # one connection for robots.txt, one for the page
        rebound = await web.fetch(site.url("/a"))
    assert rebound.failure.reason == "private_address"
    assert site.requests == ["/robots.txt", "/a"]


@anyio_test
async def test_a_redirect_to_this_machine_by_another_name_is_refused(site):
    inside = f"HTTP/1.1 302 X\r\nLocation: http://inside.test:{site.port}/b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    site.routes |= {"/a": inside.encode(), "/b": PAGE}

    async def resolver(host, port):
        return ["127.0.0.1"] if host == "site.test" else ["127.0.0.2"]

    async with site.fetcher(resolver=resolver) as web:
        fetched = await web.fetch(site.url("/a"))
    assert fetched.failure.reason == "private_address" and "inside.test" in fetched.failure.detail
    assert "/b" not in site.requests


@anyio_test
async def test_of_several_addresses_the_permitted_one_is_taken(site):
    site.routes["/a"] = PAGE

    async def resolver(host, port):
        return ["10.0.0.1", "::1", "127.0.0.1"]

    async with site.fetcher(resolver=resolver) as web:
        assert (await web.fetch(site.url("/a"))).document.text == "Words."


@anyio_test
async def test_tls_is_verified_for_the_host_and_not_for_the_address(site):
    pem = Path(__file__).with_name("site_test.pem")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(pem)
    site.port = 0
    server = await site.start(serving)
    site.routes["/a"] = PAGE
    try:
        async with site.fetcher(tls=ssl.create_default_context(cafile=str(pem))) as web:
            good = await web.fetch(f"https://site.test:{site.port}/a")
            other = await web.fetch(f"https://other.test:{site.port}/a")
        async with site.fetcher() as web:
            unknown = await web.fetch(f"https://site.test:{site.port}/a")
    finally:
        server.close()
    assert good.document.text == "Words."
    assert (other.failure.reason, unknown.failure.reason) == ("connection", "connection")
