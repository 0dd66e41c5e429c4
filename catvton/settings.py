"""What an operator may set: one typed class, read from `.env` in the working directory and from the environment.

Every name begins with CATVTON_. The environment wins over `.env`, arguments in code win over both, and an empty value
means the default. A name that does not exist is refused rather than ignored: a misspelt limit is a missing limit.
`.env.example` is written by `example()` from the descriptions below:

    python -c "from catvton.settings import example; print(example(), end='')" > .env.example
"""

from __future__ import annotations

import difflib
import os
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from dotenv import dotenv_values
from pydantic import BeforeValidator, Field, SecretStr, StringConstraints, ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from catvton import hosting
from catvton.errors import SettingsError

if TYPE_CHECKING:
    from catvton.images import Limits

PREFIX = "CATVTON_"
ENV_FILE = ".env"

_EXAMPLE_HEAD = """\
# Settings of CatVTON Studio. Copy this file to .env and take the # from the lines you change; the environment wins over
# .env. What stands here are the defaults. A CATVTON_ name that is not in this list is refused.
"""

# "5/minute", "1 / 10 seconds", several with ; between them.
_WINDOW = r"[1-9]\d{0,5}\s*/\s*([1-9]\d{0,3}\s*)?(second|minute|hour|day)s?"
_WINDOWS = rf"^({_WINDOW}(\s*;\s*{_WINDOW})*\s*;?)?$"

_UpperCase = BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value)


def _setting(default: Any, text: str, *, accepted: str, **constraints: Any) -> Any:
    """A field with its line in `.env.example` and with the words that end the sentence about a wrong value."""
    return Field(default, description=text, json_schema_extra={"accepted": accepted}, **constraints)


class Settings(BaseSettings):
    """The operator's settings, checked. `Settings()` reads them; `Settings(port=8000)` overrides one in code.

    Raises `SettingsError`, which names every unknown setting or wrong value at once and says what is accepted.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_file_encoding="utf-8-sig",  # Windows editors begin a file with a byte order mark
        env_ignore_empty=True,
        extra="ignore",  # other programs' lines in .env; unknown names of ours are refused below
        frozen=True,
        str_strip_whitespace=True,
    )

    engine: Annotated[str, StringConstraints(min_length=1)] = _setting(
        "auto",
        "The engine that generates when a request names none: auto is catvton where its weights are complete and there "
        "is a CUDA card, else compact.",
        accepted="auto, or the name of an engine from resource/models.toml",
    )
    device: Annotated[str, StringConstraints(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")] = _setting(
        "auto",
        "Where to compute: auto takes CUDA if there is one, then Apple's MPS, then the CPU.",
        accepted="auto, cpu, mps, cuda or cuda:N",
    )
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = _setting(
        "auto",
        "In which precision: auto is float32 on CPU and MPS, bfloat16 or float16 on CUDA, by the card's age.",
        accepted="auto, float32, float16 or bfloat16",
    )
    memory: Literal["auto", "speed", "balanced", "low"] = _setting(
        "auto",
        "What a large engine may give up for memory: speed is quickest, balanced computes what it can one after the "
        "other, low also moves networks off the card when they rest; auto takes the first that fits.",
        accepted="auto, speed, balanced or low",
    )
    densepose_backend: Literal["torch", "detectron2"] = _setting(
        "torch",
        "Which DensePose finds bodies for the official engines: the app's own, or the real Detectron2 where it is "
        "installed (requirements-detectron2.txt).",
        accepted="torch or detectron2",
    )
    safety_adjustment: float = _setting(
        0.0,
        "How strict the safety checker of the official engines is: above 0 it withholds more pictures, below 0 fewer.",
        accepted="a number from -0.5 to 0.5",
        ge=-0.5,
        le=0.5,
        allow_inf_nan=False,
    )
    moderation: Literal["auto", "on", "off"] = _setting(
        "auto",
        "Whether photos and results are checked for people shown mostly undressed: auto is on for the server and off "
        "for the command line. The safety checker that comes with an official engine is asked in any case.",
        accepted="auto, on or off",
    )
    moderation_model: str = _setting(
        "",
        "An image classifier that is asked as well wherever that check is on: a repository of the Hugging Face hub, or "
        "a folder with its files. Empty: none.",
        accepted="owner/name, or the path of a folder",
    )
    moderation_labels: str = _setting(
        "nsfw",
        "Which of that classifier's labels count as not to be shown, with commas between them.",
        accepted="labels of the classifier, like nsfw or porn,hentai",
    )
    moderation_threshold: float = _setting(
        0.5,
        "Above which chance of those labels, taken together, a picture is refused.",
        accepted="a number from 0 to 1",
        ge=0,
        le=1,
        allow_inf_nan=False,
    )
    models_dir: Path | None = _setting(
        None,
        "The folder of the weights that `python -m catvton models download` fetches, and of their lock. Empty: the "
        "folder models beside the app's own code, wherever it is started from. A relative path starts at the working "
        "directory.",
        accepted="the path of a folder",
    )
    download: str = _setting(
        "",
        "Engines whose weights the server fetches before it starts, where they are not complete: for machines where "
        "nobody can type a command, as Spaces. Empty: nothing is ever downloaded unasked.",
        accepted="names of engines with spaces between them, like catvton, or catvton@vitonhd for a version",
    )
    registry: Path | None = _setting(
        None,
        "A file whose tables are laid over resource/models.toml: your own mirrors, repositories or engines.",
        accepted="the path of a file like resource/models.toml",
    )
    commercial_only: bool = _setting(
        False,
        "Whether to refuse every engine whose licence does not allow commercial use.",
        accepted="true or false",
    )
    hf_token: SecretStr | None = _setting(
        None,
        "An access token of the Hugging Face hub, for repositories that ask for one. Empty: HF_TOKEN or that of "
        "`hf auth login`, where there is one.",
        accepted="a token, as the hub shows it",
    )
    host: Annotated[str, StringConstraints(min_length=1)] = _setting(
        "127.0.0.1",
        "The address to serve on: 127.0.0.1 for this machine only, 0.0.0.0 for everyone who can reach it.",
        accepted="a host name or address",
    )
    port: int = _setting(7860, "The port to serve on.", accepted="a whole number from 1 to 65535", ge=1, le=65535)
    queue_size: int = _setting(
        16,
        "How many requests may wait; one more is turned away with a friendly sentence.",
        accepted="a whole number from 1 to 1000",
        ge=1,
        le=1000,
    )
    max_upload_mb: int = _setting(
        40, "The largest file that may be uploaded, in MB.", accepted="a whole number from 1 to 500", ge=1, le=500
    )
    max_pixels: int = _setting(
        50_000_000,
        "The most pixels a picture may have, checked before it is decoded. 50 million fill 200 MB, a few "
        "times over while a request runs.",
        accepted="a whole number from 10000 to 400000000",
        ge=10_000,
        le=400_000_000,
    )
    temp_dir: Path | None = _setting(
        None,
        "The folder in which uploads and results lie while a request runs. Empty: the system's own.",
        accepted="the path of a folder",
    )
    auth: Literal["none", "password", "huggingface"] = _setting(
        "none",
        "Who may use the app: none lets everyone in, password asks for an account made with `python -m catvton users "
        "add`, huggingface for a Hugging Face account (on Spaces only).",
        accepted="none, password or huggingface",
    )
    rate_limits: Annotated[str, StringConstraints(pattern=_WINDOWS)] = _setting(
        "",
        "How many pictures one account, or one address where nobody is signed in, may have made: moving windows, all "
        "of which hold, and the same for masks. Empty: no limit.",
        accepted="windows like 5/minute;60/hour;200/day",
    )
    trusted_proxy_hops: int = _setting(
        0,
        "How many proxies of your own stand before the app: that many entries of X-Forwarded-For are believed, counted "
        "from the right. With too many, visitors can invent their address.",
        accepted="a whole number from 0 to 10",
        ge=0,
        le=10,
    )
    redis_url: SecretStr | None = _setting(
        None,
        "Where several replicas keep what they share: rate limits, and for ten minutes the jobs of the REST door. "
        "Empty: in this process's memory.",
        accepted="an address like redis://:password@host:6379/0",
    )
    database_url: SecretStr | None = _setting(
        None,
        "The database of accounts and records. Empty: SQLite, in the file catvton.db of CATVTON_DATA_DIR.",
        accepted="an address like postgresql://name:password@host/catvton",
    )
    data_dir: Path | None = _setting(
        None,
        "The folder of what is kept: the database, and results where a history is kept. Empty: the folder data beside "
        "the app's own code, wherever it is started from.",
        accepted="the path of a folder",
    )
    records_days: int = _setting(
        90,
        "How many days the record of a job is kept: when, for which account, with which engine and options, and how it "
        "ended; never a picture, a file name or an address. 0 keeps no records; those there are go with `python -m "
        "catvton records purge`.",
        accepted="a whole number from 0 to 36500",
        ge=0,
        le=36_500,
    )
    history_hours: int = _setting(
        0,
        "How many hours results, but never photos, are kept in the folder history of CATVTON_DATA_DIR; no longer than "
        "CATVTON_RECORDS_DAYS. A server looks for what is too old when it starts and every five minutes. 0 keeps none, "
        "and removes those there are.",
        accepted="a whole number from 0 to 8760",
        ge=0,
        le=8760,
    )
    watermark: Literal["auto", "on", "off"] = _setting(
        "auto",
        "Whether each result carries the number of its job, invisibly, for `python -m catvton trace`: auto is on for "
        "the server and off for the command line.",
        accepted="auto, on or off",
    )
    label: bool = _setting(
        False, 'Whether each result has a small "AI" tag in its lower right corner.', accepted="on or off"
    )
    c2pa_certificate: Path | None = _setting(
        None,
        "A PEM file with a certificate for signing content credentials (C2PA), and those that vouch for it: each "
        "result's file is then signed (requirements-c2pa.txt). Empty: no signature.",
        accepted="the path of a file",
    )
    c2pa_key: Path | None = _setting(
        None, "The PEM file of that certificate's private key, without a passphrase.", accepted="the path of a file"
    )
    metrics_token: SecretStr | None = _setting(
        None,
        "What a reader of /metrics must send as its bearer token. Empty: anyone who can reach the app may read them.",
        accepted="any text",
    )
    frame_ancestors: Annotated[str, StringConstraints(pattern=r"^[^;,\r\n]*$")] = _setting(
        "",
        "The sites that may show the page in a frame, besides itself.",
        accepted="origins with spaces between them, like https://shop.example https://*.shop.example",
    )
    shutdown_seconds: int = _setting(
        30,
        "How many seconds the server may take to finish the run it is at when it is told to end.",
        accepted="a whole number from 0 to 3600",
        ge=0,
        le=3600,
    )
    examples: bool = _setting(True, "Whether the page offers example people and garments.", accepted="true or false")
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], _UpperCase] = _setting(
        "INFO", "How much the server writes to its log.", accepted="DEBUG, INFO, WARNING or ERROR"
    )
    log_format: Literal["text", "json"] = _setting(
        "text", "Whether a line of the log is for people, or one JSON object for programs.", accepted="text or json"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The hosting's own defaults come last: whatever an operator has said wins over them."""
        return init_settings, env_settings, dotenv_settings, InitSettingsSource(settings_cls, hosting.defaults())

    def __init__(self, **values: Any) -> None:
        written = _written(values.get("_env_file", ENV_FILE))
        _refuse_unknown(written, overrides=values)
        try:
            super().__init__(**values)
        except ValidationError as error:
            places = {name: where for name, where in written.items() if name not in map(_name, values)}
            raise SettingsError("\n".join(_sentence(fault, places) for fault in error.errors())) from error

    @property
    def limits(self) -> Limits:
        """What a picture may measure, for `catvton.images`."""
        from catvton.images import Limits

        return Limits(max_bytes=self.max_upload_mb * 2**20, max_pixels=self.max_pixels)


def wanted(choice: str, *, service: bool) -> bool:
    """Whether a setting of "auto", "on" or "off" is on; auto is on for what serves others."""
    return choice == "on" or (choice == "auto" and service)


def names() -> dict[str, str]:
    """{field: name in the environment} of every setting."""
    return {field: _name(field) for field in Settings.model_fields}


def example() -> str:
    """The text of `.env.example`: every setting with its description, what it accepts and its default."""
    parts = [_EXAMPLE_HEAD]
    for field, name in names().items():
        info = Settings.model_fields[field]
        about = textwrap.fill(info.description, 118, initial_indent="# ", subsequent_indent="# ")
        accepted = info.json_schema_extra["accepted"]
        parts.append(f"{about}\n# Accepted: {accepted}.\n# {name}={_as_text(info.default)}\n")
    return "\n".join(parts)


def _name(field: str) -> str:
    return PREFIX + field.upper()


def _as_text(default: object) -> str:
    if default is None:
        return ""
    return str(default).lower() if isinstance(default, bool) else str(default)


def _written(env_file: str | os.PathLike | None) -> dict[str, str]:
    """{name in capitals: where it is written} of every CATVTON_ name in `.env` and in the environment."""
    found = {name: str(env_file) for name in _lines(env_file)} | dict.fromkeys(os.environ, "the environment")
    return {name.upper(): where for name, where in found.items() if name.upper().startswith(PREFIX)}


def _lines(env_file: str | os.PathLike | None) -> Mapping[str, str | None]:
    if env_file is None or not Path(env_file).is_file():
        return {}
    try:
        return dotenv_values(env_file, encoding=Settings.model_config["env_file_encoding"])
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{env_file} cannot be read: it must be a text file in UTF-8.") from error


def _refuse_unknown(written: Mapping[str, str], *, overrides: Mapping[str, Any]) -> None:
    known = names()
    foreign = {name: where for name, where in written.items() if name not in known.values()}
    foreign |= {field: "the call" for field in overrides if field not in known and not field.startswith("_")}
    if foreign:
        raise SettingsError("\n".join(_unknown(name, where, known) for name, where in foreign.items()))


def _unknown(name: str, where: str, known: Mapping[str, str]) -> str:
    close = difflib.get_close_matches(name.removeprefix(PREFIX).lower(), known, n=1)
    if not close:
        return f"{name} (in {where}) is not a setting. The settings are {', '.join(known.values())}."
    meant = known[close[0]] if name.startswith(PREFIX) else close[0]
    return f"{name} (in {where}) is not a setting. Did you mean {meant}?"


def _sentence(fault: Mapping[str, Any], places: Mapping[str, str]) -> str:
    field = str(fault["loc"][0])
    name = _name(field)
    accepted = Settings.model_fields[field].json_schema_extra["accepted"]
    where = f" (in {places[name]})" if name in places else ""
    return f"{name}{where} is {fault['input']!r}: {accepted} is accepted."
