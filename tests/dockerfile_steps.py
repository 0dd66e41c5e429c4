"""A Dockerfile carried out without Docker: its instructions in order, in a folder that stands for the container's root.

What is real: the files that COPY takes (by .dockerignore), who owns them, the variables as the shell expands them,
every RUN line in /bin/sh, the secrets, the user, the health check and the command. What is not: the base image is
this machine, and `pip` downloads nothing but refuses what the test environment does not satisfy. An instruction that
is not known here is an error, so that nothing is passed over.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from dockerfile_parse import DockerfileParser

UID = 1000

# What the container's own programs would do, where this machine's cannot; `log` takes pip's arguments.
PROGRAMS = {
    "python": '#!/bin/sh\nexec {python} "$@"\n',
    "useradd": '#!/bin/sh\nfor name; do :; done\nmkdir -p "{root}/home/$name" && {own} "{root}/home/$name"\n',
    "install": '#!/bin/sh\nfor path; do :; done\nmkdir -p -m 700 "$path" && {own} "$path"\n',
    "pip": """#!{python}
import importlib.metadata, json, sys
from packaging.requirements import Requirement
with open("{log}", "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
def lines(file):
    for line in map(str.strip, open(file)):
        if line.startswith("-r "):
            yield from lines(line[3:].strip())
        elif line and not line.startswith("#"):
            yield line.split(" #")[0]
words = sys.argv[2:]
wanted = []
while words:
    word = words.pop(0)
    if word in ("-r", "--index-url"):
        value = words.pop(0)
        wanted += lines(value) if word == "-r" else []
    else:
        wanted.append(word)
for requirement in map(Requirement, wanted):
    if requirement.marker is None or requirement.marker.evaluate():
        have = importlib.metadata.version(requirement.name)
        if not requirement.specifier.contains(have, prereleases=True):
            sys.exit(f"{{requirement}} is not satisfied by {{have}}")
""",
}


class StepFailed(AssertionError):
    """A RUN line ended with another exit code than 0."""


class Build:
    """One build.

    Args:
        root: an empty folder; context: the folder a build starts from, with its .dockerignore.
        args: --build-arg; secrets: --secret, {id: text}; machine: variables of this machine that RUN lines may see.

    Attributes:
        env: the image's variables; user: who its command runs as; cmd, health: as the image has them.
        pip: the arguments of each call of pip.
    """

    def __init__(self, dockerfile: Path, *, context: Path, root: Path, args: Mapping[str, str] | None = None,
                 secrets: Mapping[str, str] | None = None, machine: Mapping[str, str] | None = None) -> None:
        self.root, self._context = root, context
        self._given, self._secrets, self._machine = dict(args or {}), dict(secrets or {}), dict(machine or {})
        self.env: dict[str, str] = {}
        self.user, self.cmd, self.health, self.stop_signal = "root", [], [], "SIGTERM"
        self._args: dict[str, str] = {}
        self._folder = root
        self._log, self._bin = root / "pip.log", root / "programs"
        self._unprivileged = _may_become(UID)
        self._make_programs()
        self.done: list[str] = []
        for step in DockerfileParser(str(dockerfile)).structure:
            if step["instruction"] != "COMMENT":
                getattr(self, f"_{step['instruction'].lower()}")(step["value"])
                self.done.append(step["instruction"])

    @property
    def pip(self) -> list[list[str]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()] if self._log.exists() else []

    def inside(self, path: str) -> Path:
        """Where an absolute path of the container lies."""
        return self.root / path.lstrip("/")

    def start(self, command: Sequence[str], **env: str) -> subprocess.Popen:
        """A command of the image, as its user, in its folder; `env` is what `docker run -e` sets."""
        return subprocess.Popen(command, cwd=self._folder, env=self._variables() | env, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, **self._who())

    # ---- instructions ------------------------------------------------------------------------------------------------

    def _from(self, value: str) -> None:
        assert re.fullmatch(r"python:3\.\d+-slim", value), value

    def _arg(self, value: str) -> None:
        name, _, default = value.partition("=")
        self._args[name] = self._given.get(name, default.strip('"'))

    def _env(self, value: str) -> None:
        pairs = [word.partition("=") for word in shlex.split(value)]
        self.env |= {name: self._mapped(self._expanded(text)) for name, _, text in pairs}

    def _workdir(self, value: str) -> None:
        self._folder = self.inside(value)
        self._folder.mkdir(parents=True, exist_ok=True)

    def _user(self, value: str) -> None:
        self.user = value

    def _copy(self, value: str) -> None:
        words = shlex.split(value)
        owner = next((word.partition("=")[2] for word in words if word.startswith("--chown=")), "root")
        *sources, target = [word for word in words if not word.startswith("--")]
        rules = _rules(self._context / ".dockerignore")
        for source in sources:
            found = [self._context] if source == "." else sorted(self._context.glob(source))
            assert found, f"nothing to copy: {source}"
            for path in found:
                self._take(path, self._folder / target, rules, owner=owner)

    def _run(self, value: str) -> None:
        options = re.findall(r"--mount=(\S+)", value)
        command = self._mapped(re.sub(r"--mount=\S+\s*", "", value))
        self._lend(options)
        ended = subprocess.run(["/bin/sh", "-c", command], cwd=self._folder, env=self._variables() | self._args,
                               capture_output=True, text=True, **self._who())
        shutil.rmtree(self.inside("/run/secrets"), ignore_errors=True)
        if ended.returncode:
            raise StepFailed(f"RUN {value}\n{ended.stdout}{ended.stderr}")

    def _expose(self, value: str) -> None:
        assert value.isdigit(), value

    def _stopsignal(self, value: str) -> None:
        self.stop_signal = value

    def _healthcheck(self, value: str) -> None:
        self.health = json.loads(value.partition("CMD ")[2])

    def _cmd(self, value: str) -> None:
        self.cmd = json.loads(value)

    # ---- how ---------------------------------------------------------------------------------------------------------

    def _expanded(self, text: str) -> str:
        """As the builder does it, which knows ${name:-word} and ${name:+word}, as the shell does."""
        said = subprocess.run(["/bin/sh", "-c", f'printf %s "{text}"'], env={"PATH": "/bin"} | self._args | self.env,
                              capture_output=True, text=True, check=True)
        return said.stdout

    def _mapped(self, text: str) -> str:
        return re.sub(r"(?<![\w./}])/(?=(data|home/user|run/secrets)\b)", f"{self.root}/", text)

    def _variables(self) -> dict[str, str]:
        return {"PATH": f"{self._bin}:/usr/bin:/bin"} | self._machine | self.env

    def _who(self) -> dict[str, object]:
        if self.user == "root" or not self._unprivileged:
            return {}
        return {"user": int(self.user), "group": int(self.user), "extra_groups": []}

    def _lend(self, options: list[str]) -> None:
        for option in options:
            parts = dict(part.partition("=")[::2] for part in option.split(","))
            assert parts["type"] == "secret", option
            if parts["id"] in self._secrets:
                file = self.inside("/run/secrets") / parts["id"]
                file.parent.mkdir(parents=True)
                file.write_text(self._secrets[parts["id"]])
                self._give(file, parts.get("uid", "0"), mode=0o400)
            else:
                assert parts.get("required") == "false", f"the secret {parts['id']} is needed"

    def _take(self, path: Path, target: Path, rules: list[tuple[bool, str]], *, owner: str) -> None:
        files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
        for file in files:
            name = file.relative_to(self._context)
            if name.parts[0] == ".git" or _ignored(name.as_posix(), rules):
                continue
            copy = target / (file.name if path.is_file() else file.relative_to(path))
            for folder in reversed(copy.parents):
                if not folder.exists():
                    folder.mkdir()
                    self._give(folder, owner)
            shutil.copyfile(file, copy)
            self._give(copy, owner)

    def _give(self, path: Path, owner: str, *, mode: int | None = None) -> None:
        if mode is not None:
            path.chmod(mode)
        if self._unprivileged and owner in ("user", str(UID)):
            os.chown(path, UID, UID)

    def _make_programs(self) -> None:
        self._bin.mkdir()
        own = f"chown {UID}" if self._unprivileged else "true"
        for name, text in PROGRAMS.items():
            program = self._bin / name
            program.write_text(text.format(python=sys.executable, root=self.root, log=self._log, own=own))
            program.chmod(0o755)


def _rules(ignore: Path) -> list[tuple[bool, str]]:
    """[(whether it takes back what was ignored, pattern)]."""
    lines = [line.strip() for line in ignore.read_text().splitlines()]
    return [(line.startswith("!"), line.lstrip("!")) for line in lines if line and not line.startswith("#")]


def _ignored(name: str, rules: list[tuple[bool, str]]) -> bool:
    """Docker's way: the last rule that fits the path or a folder above it decides."""
    parts = name.split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    ignored = False
    for kept, pattern in rules:
        tried = parts if pattern.startswith("**/") else above
        if any(fnmatch.fnmatchcase(each, pattern.removeprefix("**/")) for each in tried):
            ignored = not kept
    return ignored


def _may_become(uid: int) -> bool:
    """Whether this process may run Python as another user: it is root, and that user may read this Python."""
    if os.geteuid() != 0:
        return False
    try:
        tried = subprocess.run([sys.executable, "-c", "import torch"], user=uid, group=uid, extra_groups=[], cwd="/",
                               capture_output=True)
    except OSError:
        return False
    return tried.returncode == 0
