"""Is this deployment in order? Each check looks at one thing and says what is wrong and what to do about it.

Nothing is changed by looking: no table is made, no weight loaded, no request counted, nothing downloaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catvton.settings import Settings

OK, WARNING, FAILED = "ok", "warning", "failed"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found.

    Attributes:
        subject: what was looked at, in one or two words.
        state: "ok"; "warning", it works and could be better; "failed", it does not work.
        said: a sentence; mend: what to do, empty where nothing needs to be done.
    """

    subject: str
    state: str
    said: str
    mend: str = ""

    def info(self) -> dict[str, str]:
        return asdict(self)


def ok(subject: str, said: str) -> Finding:
    return Finding(subject=subject, state=OK, said=said)


def warning(subject: str, said: str, mend: str) -> Finding:
    return Finding(subject=subject, state=WARNING, said=said, mend=mend)


def failed(subject: str, said: str, mend: str) -> Finding:
    return Finding(subject=subject, state=FAILED, said=said, mend=mend)


def examine() -> Iterator[Finding]:
    """Every finding, the machine's first; those that need settings only where the settings can be read."""
    from catvton.doctor import machine, packages
    from catvton.errors import SettingsError
    from catvton.settings import Settings

    yield from packages.look()
    try:
        settings = Settings()
    except SettingsError as error:
        yield failed("settings", str(error).replace("\n", " "), "Correct it there; .env.example lists every setting.")
        return
    yield ok("settings", "Every CATVTON_ name and value is understood.")
    yield from machine.look(settings)
    yield from _of_the_service(settings)


def _of_the_service(settings: Settings) -> Iterator[Finding]:
    from catvton.doctor import address, people, secrets, spaces, stores, weights

    for room in (weights, stores, people, secrets, address, spaces):
        yield from room.look(settings)


def in_order(findings: Iterable[Finding]) -> bool:
    return all(finding.state != FAILED for finding in findings)


def report(findings: Iterable[Finding]) -> dict[str, Any]:
    """The findings, ready for JSON."""
    findings = list(findings)
    return {"ok": in_order(findings), "findings": [finding.info() for finding in findings]}
