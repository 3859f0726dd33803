"""Canonical URLs and publishers' hosts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardflow.sources.urls import canonical_host, canonical_url, host_of, registrable


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("HTTP://Example.COM", "http://example.com/"),
        ("http://example.com:80/a", "http://example.com/a"),
        ("https://example.com:443/a", "https://example.com/a"),
        ("https://example.com:8443/a", "https://example.com:8443/a"),
        ("https://example.com.:443/", "https://example.com/"),
        ("http://user:pw@example.com/", "http://example.com/"),
        ("http://example.com/a/./b/../c", "http://example.com/a/c"),
        ("http://example.com/a/b/..", "http://example.com/a/"),
        ("http://example.com/../../x", "http://example.com/x"),
        ("http://example.com/%2e%2E/x", "http://example.com/x"),
        ("http://example.com/a//b/", "http://example.com/a//b/"),
        ("http://example.com/a#frag", "http://example.com/a"),
        ("http://example.com/a?b=2&a=1&a=0", "http://example.com/a?a=0&a=1&b=2"),
        ("http://example.com/?utm_source=x&id=3&fbclid=y&UTM_Medium=z", "http://example.com/?id=3"),
        ("http://example.com/?utm_source=x", "http://example.com/"),
        ("http://example.com/?", "http://example.com/"),
        ("http://example.com/?q=a%26b%20c", "http://example.com/?q=a%26b%20c"),
        ("http://example.com/%7euser/%c3%a9", "http://example.com/~user/%C3%A9"),
        ("http://example.com/é x", "http://example.com/%C3%A9%20x"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://xn--bcher-kva.example/", "http://xn--bcher-kva.example/"),
        ("http://[2001:DB8:0::1]:80/", "http://[2001:db8::1]/"),
        (" http://example.com/a\n", "http://example.com/a"),
        ("http://exam\tple.com/", "http://example.com/"),
    ],
)
def test_one_page_has_one_spelling(url, expected):
    assert canonical_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "mailto:a@b.c",
        "javascript:alert(1)",
        "data:text/html,x",
        "http://",
        "http://a b/",
        "http://a\\b/",
        "http://example.com:0/",
        "http://example.com:x/",
        "http://127.1/",
        "http://0x7f000001/",
        "http://-/",
        "http://a..b/",
        "http://" + "a" * 64 + ".com/",
        "http://[::1",
        "http://[v1.a]/",
        "http://[fe80::1%25eth0]/",
    ],
)
def test_what_is_no_web_url_is_an_error(url):
    with pytest.raises(ValueError):
        canonical_url(url)


@settings(max_examples=500)
@given(
    st.one_of(
        st.text(),
        st.text().map("http://h.test/{}".format),
        st.text(alphabet="/.%2eEaA?&=#@:\\ ;utm_x+é\n").map("https://h.test{}".format),
        st.text(alphabet="abAB0.:-[]@%xü。").map("http://{}/p".format),
    )
)
def test_canonical_is_idempotent(url):
    try:
        once = canonical_url(url)
    except ValueError:
        return
    assert canonical_url(once) == once
    assert once.isascii() and " " not in once and "#" not in once
    assert canonical_host(host_of(once)) == host_of(once)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("example.com", "example.com"),
        ("a.b.example.com", "example.com"),
        ("www.news.co.uk", "news.co.uk"),
        ("www.abc.net.au", "abc.net.au"),
        ("co.de", "co.de"),
        ("www.spiegel.de", "spiegel.de"),
        ("ann.github.io", "ann.github.io"),
        ("x.ann.github.io", "ann.github.io"),
        ("github.io", "github.io"),
        ("192.168.1.20", "192.168.1.20"),
        ("[::1]", "[::1]"),
        ("localhost", "localhost"),
    ],
)
def test_hosts_of_one_publisher_share_a_domain(host, expected):
    assert registrable(host) == expected
