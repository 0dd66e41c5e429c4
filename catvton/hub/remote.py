"""The hub, as far as it is needed: what lies in a repository, and a file's bytes. Every refusal becomes a sentence.

Talks through huggingface_hub's own client, so HF_ENDPOINT, HF_HUB_OFFLINE, proxies and certificates mean what they mean
elsewhere. huggingface_hub itself does not fetch the files: it starts a download that was killed anew (since 1.18).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from huggingface_hub import HfApi, constants, get_session, get_token, hf_hub_url
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

from catvton.hub.errors import HubError, NotServed

# What every error of the client under huggingface_hub is: httpx's in its versions 1, httpx2's in its versions 2.
TransportError: type[Exception] = HfHubHTTPError.__bases__[0]

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file as the hub describes it; None where it does not say. Weights have a sha256, small files git's sha1."""

    name: str
    size: int | None = None
    sha256: str | None = None
    git_sha1: str | None = None


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A repository at one commit: {name: file}."""

    repo: str
    commit: str
    files: Mapping[str, RemoteFile]


class Hub:
    """The hub at HF_ENDPOINT. Without a `token` it takes huggingface_hub's: HF_TOKEN, or that of `hf auth login`."""

    def __init__(self, *, token: str | None = None) -> None:
        self._token = token or get_token()
        if self._token is not None and not (self._token.isascii() and self._token.isprintable()):
            raise HubError("The access token has signs in it that no token has: copy it again.", code="hub.token")
        self._seen: dict[tuple[str, str], Listing] = {}

    def look(self, repo: str, revision: str) -> Listing:
        """What lies in a repository, asked once. Raises NotServed and HubError."""
        if (repo, revision) not in self._seen:
            self._seen[repo, revision] = self._look(repo, revision)
        return self._seen[repo, revision]

    def _look(self, repo: str, revision: str) -> Listing:
        options = {"revision": revision, "files_metadata": True, "timeout": constants.HF_HUB_ETAG_TIMEOUT}
        with self._in_words(repo, revision=revision):
            try:
                info = HfApi(token=self._token).model_info(repo, **options)
            except (ValueError, TypeError, KeyError) as error:  # no JSON, or another's; or no repository's name
                why = f"{constants.ENDPOINT} does not answer like a hub when asked for {repo} ({error})."
                raise HubError(why, code="hub.answer") from error
        if not _COMMIT.fullmatch(info.sha or ""):
            raise HubError(f"{constants.ENDPOINT} names no commit of {repo}: it is no hub.", code="hub.answer")
        files = {file.name: file for file in map(_remote_file, info.siblings or ())}
        if info.gated and files:  # anybody may see what lies there; whether we may have it shows at the first file
            self._knock(repo, info.sha, next(iter(files)))
        return Listing(repo=repo, commit=info.sha, files=files)

    def _knock(self, repo: str, commit: str, name: str) -> None:
        url, headers = hf_hub_url(repo, name, revision=commit), build_hf_headers(token=self._token)
        with self._in_words(repo, revision=commit, name=name):
            answer = get_session().head(
                url, headers=headers, follow_redirects=False, timeout=constants.HF_HUB_ETAG_TIMEOUT
            )
            hf_raise_for_status(answer)

    @contextlib.contextmanager
    def open(self, repo: str, commit: str, name: str, *, headers: Mapping[str, str]) -> Iterator[Any]:
        """The response to a request for a file, its body not read yet; status 416 is left to the caller.

        Raises:
            NotServed, HubError: it is refused, or the connection breaks while the body is read inside the context.
        """
        headers = build_hf_headers(token=self._token) | {"Accept-Encoding": "identity"} | dict(headers)
        url = hf_hub_url(repo, name, revision=commit)
        timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
        with (
            self._in_words(repo, revision=commit, name=name),
            get_session().stream("GET", url, headers=headers, follow_redirects=True, timeout=timeout) as response,
        ):
            if response.status_code != 416:
                hf_raise_for_status(response)
            yield response

    @contextlib.contextmanager
    def _in_words(self, repo: str, *, revision: str, name: str | None = None) -> Iterator[None]:
        what = repo if name is None else f"{name} of {repo}"
        try:
            yield
        except OfflineModeIsEnabled as error:
            raise HubError(
                f"{what} cannot be asked for: HF_HUB_OFFLINE is set, which forbids every connection to the hub.",
                code="hub.offline",
            ) from error
        except HfHubHTTPError as error:
            raise self._refused(error, repo, revision=revision, what=what) from error
        except TransportError as error:
            raise HubError(_no_connection(error, what), code="hub.connection") from error

    def _refused(self, error: HfHubHTTPError, repo: str, *, revision: str, what: str) -> HubError:
        """The sentence for an answer of 400 or more; mirrors help where the fault is the repository's."""
        status, page = error.response.status_code, f"{constants.ENDPOINT}/{repo}"
        give = "give an access token of that account as CATVTON_HF_TOKEN"
        if isinstance(error, GatedRepoError):
            return NotServed(f"{repo} is gated: ask for access at {page} and {give}.", code="hub.gated")
        if isinstance(error, DisabledRepoError):
            return NotServed(f"{repo} is closed: the hub gives it to nobody.", code="hub.gone")
        if isinstance(error, RevisionNotFoundError):
            return NotServed(f"{repo} has no revision {revision} (any more).", code="hub.gone")
        if isinstance(error, EntryNotFoundError):
            return NotServed(f"There is no {what} (any more).", code="hub.gone")
        if status == 401 and "Invalid credentials" in (error.response.headers.get("X-Error-Message") or str(error)):
            return HubError(
                "The hub does not know the access token: check CATVTON_HF_TOKEN or HF_TOKEN (or `hf auth login`).",
                code="hub.token",
            )
        if status in (401, 403):
            with_it = "the access token in use may not read it" if self._token else f"if it is private, {give}"
            return NotServed(f"There is no {what} for us: either it does not exist, or {with_it}.", code="hub.closed")
        if isinstance(error, RepositoryNotFoundError) or status == 404:
            return NotServed(f"There is no {what} at {constants.ENDPOINT} (any more).", code="hub.gone")
        return HubError(f"{constants.ENDPOINT} answers {status} for {what}: try again later.", code="hub.answer")


def _remote_file(sibling: Any) -> RemoteFile:
    lfs = sibling.lfs
    return RemoteFile(
        name=sibling.rfilename,
        size=sibling.size if lfs is None else lfs.size,
        sha256=None if lfs is None else lfs.sha256,
        git_sha1=sibling.blob_id if lfs is None else None,
    )


def _no_connection(error: Exception, what: str) -> str:
    if "Timeout" in type(error).__name__:
        return f"{constants.ENDPOINT} was silent for too long when asked for {what}: is the network slow or down?"
    why = str(error) or type(error).__name__
    return f"The connection to {constants.ENDPOINT} failed at {what} ({why}); what has arrived is kept."
