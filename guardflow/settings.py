"""Settings: where they come from, in which order, and where each value came from.

flags > GUARDFLOW_* > .env > guardflow.toml > pyproject [tool.guardflow] > user config > defaults.
Models, the runtime and the command line call `load_settings`. Keys of providers are never held here.
"""

from __future__ import annotations

import difflib
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from guardflow.errors import ConfigError
from guardflow.settings_files import Layer, leaves, read_dotenv, toml_layer
from guardflow.values import CacheMode, OutputMode, Price

ROLES = ("fast", "strong", "judge")
"""The roles every project has. Files may define more."""

_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|DSN|DATABASE_URL)$")
_URL_PASSWORD = re.compile(r"://[^/:@\s]*:([^/@\s]+)@")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PriceSettings(_Strict):
    """List price in US dollars per million tokens."""

    input: float = Field(ge=0, allow_inf_nan=False)
    output: float = Field(ge=0, allow_inf_nan=False)
    cached_input: float | None = Field(default=None, ge=0, allow_inf_nan=False)

    def price(self) -> Price:
        return Price(input=self.input, output=self.output, cached_input=self.cached_input)


def _price(value: object) -> object:
    """Decide which half of the union is meant, so that an error speaks of that half only."""
    if value == "free" or value is None or isinstance(value, PriceSettings):
        return value
    if isinstance(value, Mapping):
        return PriceSettings.model_validate(value)
    raise ValueError("a price is 'free' or a table of input and output in US dollars per million tokens")


class ModelSettings(_Strict):
    """What a role stands for. Fields left out come from what is known about the model.

    Without a ``name`` the role stays with the first provider whose key is set, with these fields changed.
    """

    name: str | None = Field(default=None, min_length=1)
    api_base: str | None = Field(default=None, pattern=r"^https?://\S+$")
    price: Annotated[PriceSettings | Literal["free"] | None, BeforeValidator(_price)] = None
    output: OutputMode | None = None
    max_tokens: int | None = Field(default=None, gt=0)
    context: int | None = Field(default=None, gt=0)
    temperature: float | None = Field(default=None, ge=0, le=2)
    timeout: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    rpm: int | None = Field(default=None, gt=0)
    tpm: int | None = Field(default=None, gt=0)
    concurrency: int | None = Field(default=None, gt=0)
    hedge: bool | None = None

    @field_validator("tpm")
    @classmethod
    def _one_answer_fits(cls, tpm: int | None, info: ValidationInfo) -> int | None:
        most = cast("int | None", info.data.get("max_tokens"))
        if tpm is not None and most is not None and tpm < most:
            raise ValueError(f"one answer may take max_tokens={most}, more than a whole minute allows")
        return tpm


class Settings(_Strict):
    """One resolved set of settings. Making one directly reads nothing; `load_settings` does.

    Args:
        root: the project's folder; set by `load_settings`, never by a file.
        home: the state folder.
        database_url: None is the SQLite file in ``home``.
        models: what each role stands for.
        cache: the response cache's mode; None leaves it to the command.
        budget_usd: the budget of a run that is given none.
    """

    root: Path = Field(default_factory=Path.cwd)
    home: Path = Field(default_factory=lambda data: data["root"] / ".guardflow")
    database_url: str | None = Field(default=None, min_length=1, repr=False)
    models: Mapping[str, ModelSettings] = Field(default_factory=dict[str, ModelSettings])
    cache: CacheMode | None = None
    budget_usd: float | None = Field(default=None, gt=0, allow_inf_nan=False)

    _origins: dict[str, str] = PrivateAttr(default_factory=dict[str, str])

    # By identity: what was found out for one settings object is remembered for that object.
    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def origin(self, field: str) -> str:
        """Where a value came from: ``"flag"``, ``"GUARDFLOW_HOME"``, ``"guardflow.toml:3"``, ``"default"``.

        Args:
            field: a field's name, or a path into ``models`` such as ``"models.fast.name"``. A table that was
                put together from several places names each.

        Raises:
            ConfigError: there is no such setting.
        """
        head, *rest = field.split(".")
        if head not in Settings.model_fields:
            raise ConfigError(
                f"there is no setting {field!r}", hint=_did_you_mean(head, Settings.model_fields)
            )
        if rest and (head != "models" or (len(rest) > 1 and rest[1] not in ModelSettings.model_fields)):
            raise ConfigError(
                f"there is no setting {field!r}", hint=_did_you_mean(rest[-1], ModelSettings.model_fields)
            )
        found = {
            o: None for path, o in self._origins.items() if path == field or path.startswith(field + ".")
        }
        return ", ".join(found) or "default"


def load_settings(start: Path | None = None, **flags: object) -> Settings:
    """Read all sources and merge them.

    Args:
        start: where to look for the project; the working directory if None.
        flags: settings by name, such as ``home=`` or ``models={"fast": "openai/gpt-5-mini"}``; None is "not given".

    Raises:
        ConfigError: a file is malformed (named with its line), a key is unknown, a value does not fit.
    """
    root = project_root(start)
    given = {name: value for name, value in flags.items() if value is not None}
    layers = [
        _file_layer(_user_config()),
        _file_layer(root / "pyproject.toml", table=("tool", "guardflow"), label="pyproject.toml"),
        _file_layer(root / "guardflow.toml", label="guardflow.toml"),
    ]
    roles = {*ROLES, *(role for layer in layers for role in _table(layer.values.get("models")))}
    dotenv = read_dotenv(root / ".env")
    layers += [
        _environment_layer(
            {k: v for k, (v, _) in dotenv.items()}, roles, root, {k: w for k, (_, w) in dotenv.items()}
        ),
        _environment_layer(os.environ, roles, Path.cwd(), {}),
        _flag_layer(given),
    ]
    values: dict[str, object] = {}
    origins: dict[str, str] = {}
    for layer in layers:
        if "root" in layer.values:
            raise ConfigError(
                f"'root' cannot be set (in {_origin_of(('root',), layer.origins)})", hint="remove it"
            )
        _merge(values, origins, layer)
    try:
        settings = Settings.model_validate({**values, "root": root})
    except ValidationError as error:
        raise _config_error(error, origins) from None
    settings._origins.update(origins)  # pyright: ignore[reportPrivateUsage]  # same file: origins are no input
    return settings


def project_root(start: Path | None = None) -> Path:
    """The nearest folder, from ``start`` upwards, that configures guardflow; else the nearest that is a project
    (pyproject.toml or .git); else ``start`` itself."""
    here = (start or Path.cwd()).absolute()
    if here.is_file():
        here = here.parent
    folders = (here, *here.parents)
    for folder in folders:
        if (folder / "guardflow.toml").is_file() or _has_tool_table(folder / "pyproject.toml"):
            return folder
    for folder in folders:
        if (folder / "pyproject.toml").is_file() or (folder / ".git").exists():
            return folder
    return here


def provider_environment(settings: Settings) -> dict[str, str]:
    """The variables that hold providers' keys and addresses: the process's, over those of the project's .env.

    Read anew at each call and kept nowhere, so that keys live in one place only.
    """
    dotenv = {name: value for name, (value, _) in read_dotenv(settings.root / ".env").items()}
    return {**dotenv, **os.environ}


def secret_values(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values to redact: of variables named like secrets, and passwords inside of URLs. Longest first."""
    found: set[str] = set()
    for name, value in environment.items():
        if _SECRET_NAME.search(name.upper()):
            found.add(value)
        if "://" in value:
            found.update(_URL_PASSWORD.findall(value))
    return tuple(sorted((v for v in found if len(v) >= 6), key=len, reverse=True))


def home_dir(settings: Settings) -> Path:
    """The state folder, made with mode 0700 and its own .gitignore if it is not there.

    Raises:
        ConfigError: it cannot be made.
    """
    home = settings.home
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        try:
            home.mkdir(mode=0o700)
        except FileExistsError:
            if not home.is_dir():
                raise
        else:
            (home / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"the state folder {str(home)!r} cannot be made ({error.strerror})",
            hint="set GUARDFLOW_HOME to a folder that can be written",
        ) from None
    return home


def installation_secret(settings: Settings) -> bytes:
    """32 random bytes that never leave this installation; made once, mode 0600, the same for every process.

    Raises:
        ConfigError: the file is there and is not such a secret, or cannot be written.
    """
    path = home_dir(settings) / "secret"
    try:
        if not path.exists():
            _create_secret(path)
        secret = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"the installation's secret {str(path)!r} cannot be used ({error.strerror})",
            hint="make the file readable, or set GUARDFLOW_HOME to another folder",
        ) from None
    if len(secret) != 32:
        raise ConfigError(
            f"the installation's secret {str(path)!r} has {len(secret)} bytes, not 32",
            hint="delete it: a new one is made, and stored answers are found as before",
        )
    return secret


def _create_secret(path: Path) -> None:
    """Write a finished file under a name of our own, then link it into place: nobody ever reads half a secret,
    and of several processes that start at once the first one wins."""
    draft = path.with_name(f".secret-{os.getpid()}-{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(secrets.token_bytes(32))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _user_config() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "guardflow" / "config.toml"


def _has_tool_table(pyproject: Path) -> bool:
    """Whether the file configures guardflow; without parsing, because a parent's broken file is not ours to judge."""
    try:
        return (
            re.search(r"^\s*\[tool\.guardflow[\].]", pyproject.read_text("utf-8"), re.MULTILINE) is not None
        )
    except (OSError, UnicodeDecodeError):
        return False


def _file_layer(path: Path, *, table: tuple[str, ...] = (), label: str | None = None) -> Layer:
    layer = toml_layer(path, table=table, label=label)
    values = _expand_names(layer.values)
    if isinstance(home := values.get("home"), str):
        values["home"] = path.parent / Path(home).expanduser()
    origins = {".".join(leaf): _origin_of(leaf, layer.origins) for leaf in leaves(values)}
    return Layer(values, origins)


def _environment_layer(
    variables: Mapping[str, str], roles: set[str], base: Path, origins: Mapping[str, str]
) -> Layer:
    """``GUARDFLOW_<FIELD>`` and ``GUARDFLOW_MODEL_<ROLE>``.

    The environment is shared: a foreign GUARDFLOW_ name is left alone unless it looks like one of ours misspelt.
    """
    names: dict[str, tuple[str, ...]] = {
        f"GUARDFLOW_{field.upper()}": (field,)
        for field in Settings.model_fields
        if field not in ("models", "root")
    }
    names |= {f"GUARDFLOW_MODEL_{role.upper()}": ("models", role, "name") for role in sorted(roles)}
    layer = Layer({}, {})
    for variable, value in variables.items():
        if not variable.startswith("GUARDFLOW_") or not value:
            continue
        path = names.get(variable)
        if path is None:
            near = difflib.get_close_matches(variable, names, n=1, cutoff=0.87)
            if near or variable.startswith("GUARDFLOW_MODEL_"):
                where = f" (in {origins[variable]})" if variable in origins else ""
                raise ConfigError(
                    f"there is no setting {variable!r}{where}", hint=_did_you_mean(variable, names)
                )
            continue
        table: dict[str, object] = layer.values
        for part in path[:-1]:
            table = cast("dict[str, object]", table.setdefault(part, {}))
        table[path[-1]] = base / Path(value).expanduser() if path == ("home",) else value
        layer.origins[".".join(path)] = (
            f"{variable} in {origins[variable]}" if variable in origins else variable
        )
    return layer


def _flag_layer(flags: Mapping[str, object]) -> Layer:
    values = _expand_names(flags)
    if isinstance(home := values.get("home"), str | Path):
        values["home"] = Path.cwd() / Path(home).expanduser()
    return Layer(values, {".".join(leaf): "flag" for leaf in leaves(values)})


def _expand_names(values: Mapping[str, object]) -> dict[str, object]:
    """``fast = "openai/gpt-5-mini"`` is short for a table with that name."""
    expanded = dict(values)
    if isinstance(models := values.get("models"), Mapping):
        expanded["models"] = {
            role: {"name": spec} if isinstance(spec, str) else _plain(spec)
            for role, spec in cast("Mapping[str, object]", models).items()
        }
    return expanded


def _plain(value: object) -> object:
    return value.model_dump(exclude_none=True) if isinstance(value, BaseModel) else value


def _table(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _merge(values: dict[str, object], origins: dict[str, str], layer: Layer) -> None:
    """Lay a stronger layer over what there is, role by role."""
    for field, value in layer.values.items():
        models = values.setdefault("models", {}) if field == "models" else None
        if not isinstance(value, dict) or not isinstance(models, dict):
            values[field] = value
            continue
        for role, spec in _table(cast("object", value)).items():
            new, old = _table(spec), _table(_table(cast("object", models)).get(role))
            kept = _still_true(old, new)
            for gone in old.keys() - kept.keys():
                _forget(f"models.{role}.{gone}", origins)
            models[role] = {**kept, **new} if isinstance(spec, dict) else spec
    for path, origin in layer.origins.items():
        _forget(path, origins)
        origins[path] = origin


def _forget(path: str, origins: dict[str, str]) -> None:
    """Drop the origins of a value that a stronger layer replaced, and of what was inside of it."""
    for leaf in [leaf for leaf in origins if leaf == path or leaf.startswith(path + ".")]:
        del origins[leaf]


def _still_true(old: dict[str, object], new: dict[str, object]) -> dict[str, object]:
    """What a weaker layer said that still holds when a stronger one names another model.

    A price and limits belong to a model, and a server to a provider: applied to another one, a paid model would
    count as free. How the role is used (temperature, timeout, max_tokens) stays.
    """
    name, before = new.get("name"), old.get("name")
    if not isinstance(name, str) or name == before:
        return old
    stays = {"temperature", "timeout", "max_tokens"}
    if isinstance(before, str) and name.split("/")[0] == before.split("/")[0] and "api_base" in old:
        stays.add("api_base")
        if old.get("price") == "free":
            stays.add("price")
    return {field: value for field, value in old.items() if field in stays}


def _origin_of(path: tuple[str, ...], origins: Mapping[str, str]) -> str:
    """The origin of a value, or of the nearest thing around or inside of it."""
    for length in range(len(path), 0, -1):
        prefix = ".".join(path[:length])
        for leaf, origin in origins.items():
            if leaf == prefix or leaf.startswith(prefix + "."):
                return origin
    return "default"


def _config_error(error: ValidationError, origins: Mapping[str, str]) -> ConfigError:
    """The first thing that is wrong, in our words: which setting, where it was set, why it does not fit."""
    first = error.errors(include_url=False)[0]
    path = tuple(str(part) for part in first["loc"] if part not in ("PriceSettings", "literal['free']"))
    where = _origin_of(path, origins)
    if first["type"] == "extra_forbidden":
        fields: Iterable[str] = Settings.model_fields.keys() - {"root"}
        if path[0] == "models":
            fields = PriceSettings.model_fields if "price" in path[:-1] else ModelSettings.model_fields
        return ConfigError(
            f"there is no setting {'.'.join(path)!r} (in {where})", hint=_did_you_mean(path[-1], fields)
        )
    # The value itself is left out: a database URL holds a password.
    return ConfigError(
        f"{'.'.join(path)!r} does not fit (in {where}): {first['msg']}", hint="correct the value"
    )


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(map(repr, names))}"
