"""The pytest plugin is opt-in, and its fixtures do what they say."""

import os
import subprocess
import sys
from pathlib import Path

OWN_TEST = """
import asyncio, socket
import httpx, pytest
from guardflow.testing import FaultServer, Reply
from guardflow.testing.plugin import NetworkRefused

def test_fault_server(fault_server):
    fault_server.script(Reply.text("hi"))
    body = {"model": "m", "messages": []}
    response = httpx.post(fault_server.base_url + "/chat/completions", json=body, timeout=120)
    assert response.json()["choices"][0]["message"]["content"] == "hi"
    assert fault_server.count == 1

def test_fork_server(fork_server):
    assert fork_server.run("operator:add", 1, 2).returned() == 3
    assert fork_server.run("guardflow.testing.forkserver:call", "sys:getswitchinterval", []).code == 0

def test_loopback_is_allowed(no_network, fault_server):
    for base in (fault_server.base_url, fault_server.base_url.replace("127.0.0.1", "localhost")):
        assert httpx.get(base + "/models", timeout=120).status_code == 200
    a, b = socket.socketpair()
    a.close(); b.close()

def test_addresses_are_refused(no_network):
    for family, address in ((socket.AF_INET, ("192.0.2.1", 80)), (socket.AF_INET6, ("2001:db8::1", 80))):
        with socket.socket(family) as s:
            with pytest.raises(NetworkRefused, match="may not use the network"):
                s.connect(address)
            with pytest.raises(NetworkRefused):
                s.connect_ex(address)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s, pytest.raises(NetworkRefused):
        s.sendto(b"x", ("192.0.2.1", 53))

def test_names_are_not_looked_up(no_network):
    with pytest.raises(NetworkRefused, match="looked up 'example.org'"):
        httpx.get("http://example.org")

def test_asyncio_is_held_too(no_network):
    async def connect():
        await asyncio.open_connection("192.0.2.1", 80)
    with pytest.raises(NetworkRefused):
        asyncio.run(connect())

def test_it_ends_with_the_test():
    assert "guarded" not in socket.socket.connect.__name__
    assert "guarded" not in socket.getaddrinfo.__name__
"""


def test_the_fixtures_work_in_a_project_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["guardflow.testing.plugin"]\n')
    (tmp_path / "test_own.py").write_text(OWN_TEST)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)]
    ended = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=300, cwd=tmp_path, env={**os.environ}
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "7 passed" in ended.stdout


def test_without_opting_in_nothing_is_registered(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text("def test_it(fault_server): pass\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert "fixture 'fault_server' not found" in ended.stdout


def test_the_package_loads_lazily_and_never_pytest() -> None:
    code = (
        "import sys, guardflow.testing as t\n"
        "assert not [m for m in sys.modules if m.startswith('guardflow.testing.')]\n"
        "assert set(t.__all__) <= set(dir(t))\n"
        "for name in t.__all__: assert getattr(t, name).__module__.startswith('guardflow.')\n"
        "heavy = {'pytest', 'litellm', 'instructor', 'dbos', 'sqlalchemy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "try: t.nothing\n"
        "except AttributeError as error: print(error)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=300
    )
    assert ended.stdout == "module 'guardflow.testing' has no attribute 'nothing'\n", ended.stderr
