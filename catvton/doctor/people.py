"""Who may use the app, how often, and what protects the people in the pictures."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from catvton.doctor import Finding, failed, ok, warning
from catvton.errors import SettingsError

if TYPE_CHECKING:
    from catvton.settings import Settings


def look(settings: Settings) -> Iterator[Finding]:
    yield from accounts(settings)
    yield limits(settings)
    yield proxy(settings)
    yield watermark(settings)
    yield moderation(settings)
    yield from signing(settings)


def public(settings: Settings) -> bool:
    """Whether others than this machine can reach the address served on."""
    if settings.host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(settings.host).is_loopback
    except ValueError:
        return True


def accounts(settings: Settings) -> Iterator[Finding]:
    from catvton.service.app import check_auth

    try:
        check_auth(settings)
    except SettingsError as error:
        yield failed("accounts", str(error), "Correct CATVTON_AUTH, or install what it needs.")
        return
    if settings.auth != "password":
        who = "Everybody may use it." if settings.auth == "none" else "Whoever signs in with Hugging Face may use it."
        yield ok("accounts", who)
        return
    number = _number(settings)
    if number == 0:
        yield warning("accounts", "Nobody can sign in: there is no account.", "python -m catvton users add NAME")
    elif number:
        yield ok("accounts", f"{number} {'account' if number == 1 else 'accounts'} can sign in.")


def _number(settings: Settings) -> int | None:
    """How many accounts there are; None where the database does not answer, which has a line of its own."""
    from sqlalchemy import func, inspect, select
    from sqlalchemy.exc import SQLAlchemyError

    from catvton.records.database import FILE, data_folder, open_database
    from catvton.service.account_tables import accounts as table

    if settings.database_url is None and not (data_folder(settings) / FILE).exists():
        return 0
    try:
        with closing(open_database(settings).connect()) as work:
            made = inspect(work).has_table(table.name)
            return work.execute(select(func.count()).select_from(table)).scalar() if made else 0
    except (SettingsError, SQLAlchemyError, OSError):
        return None


def limits(settings: Settings) -> Finding:
    if settings.rate_limits:
        return ok("limits", f"{settings.rate_limits} for each caller, {settings.queue_size} may wait.")
    if public(settings) and settings.auth == "none":
        return warning("limits", "Anybody may ask for as many pictures as they like.",
                       "Set CATVTON_RATE_LIMITS, such as 5/minute;60/hour.")
    return ok("limits", f"None for each caller; {settings.queue_size} may wait.")


def proxy(settings: Settings) -> Finding:
    hops = settings.trusted_proxy_hops
    if hops:
        return ok("proxy", f"The last {hops} of X-Forwarded-For {'is' if hops == 1 else 'are'} believed: right with "
                           "exactly so many proxies of yours, and no way in beside them.")
    if public(settings) and settings.rate_limits and settings.auth == "none":
        return warning("proxy", "X-Forwarded-For is not believed: behind a proxy all visitors share one limit.",
                       "If there is a proxy of yours before the app, set CATVTON_TRUSTED_PROXY_HOPS to how many.")
    return ok("proxy", "None is expected: X-Forwarded-For is not believed.")


def watermark(settings: Settings) -> Finding:
    if settings.watermark == "off":
        return warning("watermark", "Results leave unmarked: nobody can tell later that they came from here.",
                       "Set CATVTON_WATERMARK=auto, unless this is an evaluation.")
    if not settings.records_days:
        return warning("watermark", "Results carry a job's number, but no job is recorded: it leads nowhere.",
                       "Set CATVTON_RECORDS_DAYS.")
    return ok("watermark", f"Results carry their job's number; jobs are remembered for {settings.records_days} days.")


def moderation(settings: Settings) -> Finding:
    if settings.moderation == "off":
        return warning("moderation", "Photos and results are not checked for people shown undressed.",
                       "Set CATVTON_MODERATION=auto.")
    more = f", with {settings.moderation_model} beside it" if settings.moderation_model else ""
    return ok("moderation", f"Photos and results are checked{more}.")


def signing(settings: Settings) -> Iterator[Finding]:
    """Content credentials, where they are asked for."""
    from catvton.safety.credentials import ContentCredentials

    given = [path for path in (settings.c2pa_certificate, settings.c2pa_key) if path is not None]
    if not given:
        return
    try:
        if len(given) == 1:
            raise SettingsError("A certificate and its key go together, and only one of them is set.")
        ContentCredentials(*given)
    except SettingsError as error:
        yield failed("credentials", str(error), "Correct CATVTON_C2PA_CERTIFICATE and CATVTON_C2PA_KEY.")
        return
    yield ok("credentials", "Results are signed with the certificate.")
