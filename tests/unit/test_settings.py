"""Where settings come from, which source wins, and what a broken one says."""

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from guardflow.errors import ConfigError
from guardflow.settings import (
    Settings,
    home_dir,
    installation_secret,
    load_settings,
    project_root,
    provider_environment,
    secret_values,
)
from guardflow.values import Price


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, with no user configuration and no GUARDFLOW_ variable."""
    for name in [n for n in os.environ if n.startswith("GUARDFLOW_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    root = tmp_path / "project"
    root.mkdir()
    (root / "pyproject.toml").write_text("[project]\nname = 'demo'\n")
    monkeypatch.chdir(root)
    return root


def test_without_any_source_the_defaults_hold(project: Path) -> None:
    settings = load_settings()
    assert settings.home == project / ".guardflow"
    assert settings.database_url is None
    assert settings.models == {}
    assert settings.cache is None
    assert settings.origin("home") == "default"


def test_each_source_beats_the_ones_below_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = project.parent / "xdg" / "guardflow"
    user.mkdir(parents=True)
    (user / "config.toml").write_text('cache = "use"\n')
    seen = [(load_settings().cache, load_settings().origin("cache"))]
    (project / "pyproject.toml").write_text('[project]\nname = "x"\n\n[tool.guardflow]\ncache = "off"\n')
    seen.append((load_settings().cache, load_settings().origin("cache")))
    (project / "guardflow.toml").write_text('\ncache = "refresh"\n')
    seen.append((load_settings().cache, load_settings().origin("cache")))
    (project / ".env").write_text("# ours\nGUARDFLOW_CACHE=only\n")
    seen.append((load_settings().cache, load_settings().origin("cache")))
    monkeypatch.setenv("GUARDFLOW_CACHE", "use")
    seen.append((load_settings().cache, load_settings().origin("cache")))
    by_flag = load_settings(cache="off")
    seen.append((by_flag.cache, by_flag.origin("cache")))
    assert seen == [
        ("use", f"{user / 'config.toml'}:1"),
        ("off", "pyproject.toml:5"),
        ("refresh", "guardflow.toml:2"),
        ("only", "GUARDFLOW_CACHE in .env:2"),
        ("use", "GUARDFLOW_CACHE"),
        ("off", "flag"),
    ]


def test_a_flag_that_is_none_was_not_given(project: Path) -> None:
    (project / "guardflow.toml").write_text('cache = "refresh"\n')
    assert load_settings(cache=None).cache == "refresh"


def test_an_empty_variable_was_not_given(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDFLOW_CACHE", "")
    assert load_settings().cache is None


def test_a_role_is_a_name_or_a_table(project: Path) -> None:
    (project / "guardflow.toml").write_text(
        "[models]\n"
        'fast = "openai/gpt-5-mini"\n'
        "[models.strong]\n"
        'name = "openai/qwen3-8b"\n'
        'api_base = "http://127.0.0.1:8080/v1"\n'
        'price = "free"\n'
        "[models.judge]\n"
        'name = "openai/other"\n'
        "price = { input = 1, output = 2.5 }\n"
    )
    settings = load_settings()
    assert settings.models["fast"].name == "openai/gpt-5-mini"
    assert settings.models["strong"].price == "free"
    price = settings.models["judge"].price
    assert price is not None and price != "free"
    assert price.price() == Price(input=1, output=2.5)
    assert settings.origin("models.fast.name") == "guardflow.toml:2"
    assert settings.origin("models.strong.price") == "guardflow.toml:6"
    assert settings.origin("models.judge.price.output") == "guardflow.toml:9"
    assert settings.origin("models.judge.timeout") == "default"


def test_a_role_put_together_from_two_places_names_both(project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.guardflow.models]\nfast = "openai/a"\n')
    (project / "guardflow.toml").write_text("[models.fast]\ntimeout = 5\n")
    settings = load_settings()
    assert settings.models["fast"].name == "openai/a"
    assert settings.models["fast"].timeout == 5
    assert settings.origin("models.fast") == "pyproject.toml:2, guardflow.toml:2"


def test_a_variable_names_a_roles_model(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "guardflow.toml").write_text("[models.writer]\ntemperature = 0.2\n")
    monkeypatch.setenv("GUARDFLOW_MODEL_STRONG", "anthropic/claude-sonnet-4-5")
    monkeypatch.setenv("GUARDFLOW_MODEL_WRITER", "openai/gpt-5")
    settings = load_settings()
    assert settings.models["strong"].name == "anthropic/claude-sonnet-4-5"
    assert settings.models["writer"].name == "openai/gpt-5"
    assert settings.models["writer"].temperature == 0.2
    assert settings.origin("models.strong.name") == "GUARDFLOW_MODEL_STRONG"


def test_another_model_does_not_inherit_the_price_of_the_one_it_replaces(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "guardflow.toml").write_text(
        '[models.fast]\nname = "openai/local"\napi_base = "http://127.0.0.1:1/v1"\nprice = "free"\n'
        "context = 4096\ntemperature = 0.5\n"
    )
    monkeypatch.setenv("GUARDFLOW_MODEL_FAST", "anthropic/claude-haiku-4-5")
    elsewhere = load_settings().models["fast"]
    assert (elsewhere.price, elsewhere.api_base, elsewhere.context) == (None, None, None)
    assert elsewhere.temperature == 0.5
    assert load_settings().origin("models.fast.price") == "default"
    monkeypatch.setenv("GUARDFLOW_MODEL_FAST", "openai/local-2")
    same_server = load_settings().models["fast"]
    assert (same_server.price, same_server.api_base, same_server.context) == (
        "free",
        "http://127.0.0.1:1/v1",
        None,
    )


def test_a_paid_price_stays_with_its_model_on_the_same_server(project: Path) -> None:
    (project / "guardflow.toml").write_text(
        '[models.fast]\nname = "openai/a"\napi_base = "https://gate.test/v1"\n'
        "price = { input = 1, output = 1 }\n"
    )
    fast = load_settings(models={"fast": "openai/b"}).models["fast"]
    assert (fast.api_base, fast.price) == ("https://gate.test/v1", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('cahce = "use"\n', "there is no setting 'cahce' (in guardflow.toml:1): did you mean 'cache'?"),
        (
            '[models.fast]\nname = "openai/a"\ntemprature = 1\n',
            "there is no setting 'models.fast.temprature' (in guardflow.toml:3): did you mean 'temperature'?",
        ),
        (
            '[models.fast]\nname = "openai/a"\nprice = { input = 1, ouput = 1, output = 2 }\n',
            "there is no setting 'models.fast.price.ouput' (in guardflow.toml:3): did you mean 'output'?",
        ),
        ('root = "/"\n', "'root' cannot be set (in guardflow.toml:1)"),
        ('\ncache = "sometimes"\n', "'cache' does not fit (in guardflow.toml:2): Input should be 'use'"),
        ('[models.fast]\nprice = "cheap"\n', "'models.fast.price' does not fit (in guardflow.toml:2)"),
        ("models = 3\n", "'models' does not fit (in guardflow.toml:1)"),
        ("[models]\nfast = 3\n", "'models.fast' does not fit (in guardflow.toml:2)"),
        ("budget_usd = nan\n", "'budget_usd' does not fit (in guardflow.toml:1)"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_its_line(project: Path, text: str, message: str) -> None:
    (project / "guardflow.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert message in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_file_that_is_not_toml_is_named_with_its_line(project: Path) -> None:
    (project / "guardflow.toml").write_text('cache = "use"\n[models\n')
    with pytest.raises(ConfigError, match=r"guardflow\.toml' is not valid TOML, line 2"):
        load_settings()


def test_a_file_that_ends_too_early_is_named_with_its_last_line(project: Path) -> None:
    (project / "guardflow.toml").write_text('cache = "use"\nhome = """x')
    with pytest.raises(ConfigError, match=r"is not valid TOML, line 2"):
        load_settings()


def test_a_file_that_is_not_utf8_is_named_with_its_line(project: Path) -> None:
    (project / "guardflow.toml").write_bytes(b'\nhome = "\xff"\n')
    with pytest.raises(ConfigError, match=r"not UTF-8 \(line 2\)"):
        load_settings()


def test_a_malformed_dotenv_is_named_with_its_line(project: Path) -> None:
    (project / ".env").write_text("A=1\nwhat is this = '\n")
    with pytest.raises(ConfigError, match=r"\.env' is malformed in line 2"):
        load_settings()


@pytest.mark.parametrize("name", ["GUARDFLOW_HOMEE", "GUARDFLOW_MODEL_FSAT", "GUARDFLOW_MODEL_ZZZ"])
def test_a_misspelt_variable_is_refused(project: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(ConfigError, match=f"no setting '{name}'"):
        load_settings()


def test_a_foreign_variable_is_left_alone(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDFLOW_TESTS_OF_SOMEBODY", "x")
    load_settings()


def test_a_misspelt_flag_is_refused(project: Path) -> None:
    with pytest.raises(ConfigError, match="no setting 'homes' \\(in flag\\): did you mean 'home'"):
        load_settings(homes="x")


def test_a_password_never_shows_in_an_error_or_a_repr(project: Path) -> None:
    url = "postgresql://me:hunter22@host/db"
    assert "hunter22" not in repr(load_settings(database_url=url))
    with pytest.raises(ConfigError) as caught:
        load_settings(cache=url)
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize("field", ["hme", "models.fast.nam", "home.x"])
def test_the_origin_of_what_does_not_exist_is_an_error(project: Path, field: str) -> None:
    with pytest.raises(ConfigError, match="there is no setting"):
        load_settings().origin(field)


def test_a_relative_home_is_relative_to_the_file_that_says_so(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "guardflow.toml").write_text('home = "state"\n')
    below = project / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert load_settings().home == project / "state"
    assert load_settings(home="mine").home == below / "mine"
    monkeypatch.setenv("GUARDFLOW_HOME", "~/state")
    assert load_settings().home == Path("~/state").expanduser()


def test_the_root_is_the_nearest_folder_that_configures_guardflow(project: Path) -> None:
    inner = project / "packages" / "one"
    inner.mkdir(parents=True)
    (inner / "pyproject.toml").write_text("[project]\nname='one'\n")
    assert project_root(inner) == inner
    (project / "guardflow.toml").write_text("")
    assert project_root(inner) == project
    (inner / "pyproject.toml").write_text("[tool.guardflow.models]\n")
    assert project_root(inner) == inner
    assert project_root(inner / "pyproject.toml") == inner


def test_provider_keys_come_from_the_process_first_then_from_dotenv(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / ".env").write_text("OPENAI_API_KEY=from-dotenv\nGEMINI_API_KEY='quoted value'\n")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    settings = load_settings()
    assert provider_environment(settings)["OPENAI_API_KEY"] == "from-dotenv"
    monkeypatch.setenv("OPENAI_API_KEY", "from-process")
    assert provider_environment(settings)["OPENAI_API_KEY"] == "from-process"
    assert provider_environment(settings)["GEMINI_API_KEY"] == "quoted value"
    assert "from-" not in repr(settings) + settings.model_dump_json()


def test_secrets_are_told_by_their_variables_names_and_by_urls() -> None:
    environment = {
        "OPENAI_API_KEY": "sk-a-long-key",
        "SLACK_BOT_TOKEN": "xoxb-123456",
        "AWS_SECRET_ACCESS_KEY": "aws/secret",
        "HTTP_PROXY": "http://me:pass-word@proxy:1",
        "SHORT_KEY": "abc",
        "PATH": "/usr/bin",
        "KEYBOARD": "german-layout",
    }
    assert set(secret_values(environment)) == {"sk-a-long-key", "xoxb-123456", "aws/secret", "pass-word"}


def test_the_home_is_private_and_ignored_by_git(project: Path) -> None:
    home = home_dir(load_settings())
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert (home / ".gitignore").read_text() == "*\n"
    assert home_dir(load_settings()) == home


def test_a_home_that_is_a_file_is_a_config_error(project: Path) -> None:
    (project / ".guardflow").write_text("")
    with pytest.raises(ConfigError, match="GUARDFLOW_HOME"):
        home_dir(load_settings())


def test_the_secret_is_made_once_and_private(project: Path) -> None:
    settings = load_settings()
    secret = installation_secret(settings)
    assert len(secret) == 32
    assert installation_secret(load_settings()) == secret
    assert stat.S_IMODE((settings.home / "secret").stat().st_mode) == 0o600
    assert sorted(p.name for p in settings.home.iterdir()) == [".gitignore", "secret"]


def test_threads_that_start_at_once_agree_on_the_secret(project: Path) -> None:
    settings = load_settings()
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(lambda _: installation_secret(settings), range(64)))) == 1


def test_a_damaged_secret_is_not_used(project: Path) -> None:
    settings = load_settings()
    (home_dir(settings) / "secret").write_bytes(b"short")
    with pytest.raises(ConfigError, match="5 bytes, not 32"):
        installation_secret(settings)


def test_making_settings_directly_reads_nothing(project: Path) -> None:
    (project / "guardflow.toml").write_text("this is not toml")
    assert Settings(root=project).home == project / ".guardflow"


def test_settings_load_none_of_the_heavy_packages() -> None:
    heavy = ("litellm", "instructor", "openai", "dbos", "sqlalchemy", "pydantic_settings", "httpx")
    code = f"import sys, guardflow.settings; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
