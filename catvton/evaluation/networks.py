"""The published networks the figures are made with: which files, from where, and loaded when first asked for.

Each file is known to the last byte, because another file would give other figures. Two are downloaded once into the
models folder; the third comes with torchmetrics.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from huggingface_hub import constants, get_session
from huggingface_hub.errors import OfflineModeIsEnabled

from catvton.devices import choose
from catvton.errors import WeightsError
from catvton.evaluation.inception import Inception
from catvton.evaluation.perceptual import LPIPS
from catvton.hub.digest import Digest
from catvton.hub.errors import HubError
from catvton.hub.fetch import Partial, fetch
from catvton.hub.progress import Progress, silent
from catvton.hub.remote import RemoteFile, TransportError
from catvton.hub.store import Store
from catvton.hub.verify import human
from catvton.settings import Settings

FOLDER = "evaluation"  # below the models folder


@dataclass(frozen=True, kw_only=True)
class Published:
    """A file as it was published.

    Attributes:
        file: its name; url: where it lies; size: in bytes; sha256: in hexadecimal.
        shipped: where it lies in torchmetrics, "" if it does not come with it.
    """

    file: str
    url: str
    size: int
    sha256: str
    shipped: str = ""


NETWORKS = {
    "inception": Published(
        file="inception-2015-12-05.pt",
        url="https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/inception-2015-12-05.pt",
        size=95_607_719,
        sha256="f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4",
    ),
    "squeezenet": Published(
        file="squeezenet1_1-b8a52dc0.pth",
        url="https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth",
        size=4_958_839,
        sha256="b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
    ),
    "lpips-squeeze": Published(
        file="squeeze.pth",
        url="https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1/squeeze.pth",
        size=10_811,
        sha256="4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76",
        shipped="functional/image/lpips_models/squeeze.pth",
    ),
}


@dataclass(frozen=True)
class NetworkFile:
    """A network's file on this disk, checked: where it is, where it was published, its sha256."""

    path: Path
    url: str
    sha256: str


def network_file(name: str, *, root: Path | None = None, progress: Progress = silent) -> NetworkFile:
    """The file of a network of `NETWORKS`, downloaded if it is not there; a download that broke off is taken up.

    Args:
        root: the models folder; None is the operator's (CATVTON_MODELS_DIR).

    Raises:
        WeightsError: it cannot be had, or is not the published file; the text says what to put where.
    """
    wanted = NETWORKS[name]
    if wanted.shipped:
        path = Path(str(files("torchmetrics"))) / wanted.shipped
    else:
        store = Store(Settings().models_dir if root is None else root)
        path = store.root / FOLDER / wanted.file
        if not path.is_file():
            _download(wanted, path, store, progress)
    _check(path, wanted)
    return NetworkFile(path=path, url=wanted.url, sha256=wanted.sha256)


class Networks:
    """The networks of the figures, in float32 on one device. Nothing is opened or downloaded before it is asked for.

    Args:
        device: "auto", "cpu", "cuda", "cuda:N" or "mps"; root, progress: as for `network_file`.
    """

    def __init__(self, *, device: str = "auto", root: Path | None = None, progress: Progress = silent) -> None:
        self.device = choose(device)[0]
        self._root, self._progress = root, progress
        self._files: dict[str, NetworkFile] = {}

    def file(self, name: str) -> NetworkFile:
        """As `network_file`; a file is checked once."""
        if name not in self._files:
            self._files[name] = network_file(name, root=self._root, progress=self._progress)
        return self._files[name]

    def files(self, *, paired: bool) -> dict[str, NetworkFile]:
        """{name: file} of the networks that paired or unpaired figures need."""
        return {name: self.file(name) for name in (NETWORKS if paired else ("inception",))}

    @cached_property
    def inception(self) -> Inception:
        """For FID and KID."""
        return Inception.from_file(self.file("inception").path, device=self.device)

    @cached_property
    def lpips(self) -> LPIPS:
        """For LPIPS."""
        return LPIPS.from_files(self.file("squeezenet").path, self.file("lpips-squeeze").path, device=self.device)


def _download(wanted: Published, path: Path, store: Store, progress: Progress) -> None:
    known = RemoteFile(name=wanted.file, size=wanted.size, sha256=wanted.sha256)
    try:
        with store.alone(), progress(wanted.file, wanted.size, Partial.of(path).size) as count:
            fetch(lambda headers: _open(wanted.url, headers), path, file=known, count=count)
    except HubError as error:
        raise WeightsError(f"{error} {_by_hand(wanted, path)}") from error


@contextlib.contextmanager
def _open(url: str, headers: Mapping[str, str]) -> Iterator[Any]:
    """The response to a GET, by the hub's client: proxies, certificates and HF_HUB_OFFLINE count as they do there."""
    headers = {"Accept-Encoding": "identity"} | dict(headers)
    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    try:
        with get_session().stream("GET", url, headers=headers, follow_redirects=True, timeout=timeout) as response:
            if response.status_code not in (200, 206, 416):
                raise HubError(f"{url} answers {response.status_code}.", code="hub.answer")
            yield response
    except OfflineModeIsEnabled as error:
        raise HubError(f"{url} cannot be asked for: HF_HUB_OFFLINE is set.", code="hub.offline") from error
    except TransportError as error:
        why = str(error) or type(error).__name__
        raise HubError(f"The connection for {url} failed ({why}).", code="hub.connection") from error


def _check(path: Path, wanted: Published) -> None:
    """Raises WeightsError when the file is not, to the last byte, the published one."""
    mend = "Install torchmetrics again." if wanted.shipped else f"Delete it and start again. {_by_hand(wanted, path)}"
    try:
        found = Digest().read(path).sha256
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}). {mend}") from error
    if found != wanted.sha256:
        raise WeightsError(
            f"{path} is not the published file, and figures made with it could be compared with no others: its sha256 "
            f"is {found}, not {wanted.sha256}. {mend}"
        )


def _by_hand(wanted: Published, path: Path) -> str:
    return (
        f"Where there is no network, fetch {wanted.url} ({human(wanted.size)}) on another machine and put it into "
        f"{path.parent} as {path.name}."
    )
