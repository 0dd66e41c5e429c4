"""The mask stage: which pixels may change, and where the person is; found in the photo, or drawn by the user."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from catvton.cards import RESOURCE
from catvton.errors import InputError, WeightsError
from catvton.framing import Frame

if TYPE_CHECKING:
    from PIL import Image

    from catvton.cards import ModelCard
    from model import AutoMasker, Mask, Parse
    from model.beneath import Beneath
    from model.published import PublishedMasker

log = logging.getLogger(__name__)

PARSER = RESOURCE / "compact" / "parser"
GREY = 127
CLOTHES = (3, 4, 5)  # `model.labels.Label`: upper, lower, dress
BARE = (0, 2)  # background, skin
SETS = ("lip", "atr")  # the two label sets SCHP is published for
REACH = 0.025  # masks reach this share of the person's height past the body, as those the placement was trained on
CLOTH = 0.25  # likelier than this to show cloth: the background there is not spared
HEM = 0.006  # and this far around it, as a share of the frame's height
CLEARANCE = 0.012  # what is nearer to the old clothes than this share of the person's height may show their edge


class Masker(Protocol):
    """What `TryOn` asks of a masker; `model.AutoMasker` is one."""

    def __call__(self, image: Image.Image, part: str) -> Mask: ...

    def parse(self, image: Image.Image) -> Parse: ...


@dataclass(frozen=True, kw_only=True)
class Region:
    """What may change in a photo of H x W pixels.

    Attributes:
        mask: uint8 HxW {0, 255}; 255 may change.
        box: (left, top, right, bottom) of the person, the mask included, in photo pixels.
        notes: sentences for the user.
        spare: bool HxW, masked pixels that show background or bare skin, well clear of the old clothes; they change
            only where the garment turns out to need them. None where that is not known, as under a drawn mask.
        under: what the old clothes hide, at the photo's size, where the garment leaves it bare; None likewise.
    """

    mask: np.ndarray
    box: tuple[float, float, float, float]
    notes: tuple[str, ...] = ()
    spare: np.ndarray | None = None
    under: Beneath | None = None


@dataclass(frozen=True, kw_only=True)
class View:
    """What an engine sees: the frame's window at the engine's size (W, H).

    Attributes:
        frame: the window, and the way back.
        person: PIL RGB.
        hole: uint8 HxW {0, 255}; 255 is made anew.
        spare: bool HxW, the region's, or None.
        under: the region's in the window, or None.
    """

    frame: Frame
    person: Image.Image
    hole: np.ndarray
    spare: np.ndarray | None = None
    under: Beneath | None = None

    @classmethod
    def of(cls, photo: Image.Image, region: Region, *, size: tuple[int, int]) -> View:
        """The window around the region's person. `photo` (RGB) is best made `bare` before."""
        return cls._through(Frame.around(region.box, photo_size=photo.size, size=size), photo, region)

    def again(self, photo: Image.Image, region: Region) -> View:
        """The same window after the region, and with it the bare photo, has changed."""
        return self._through(self.frame, photo, region)

    @classmethod
    def _through(cls, frame: Frame, photo: Image.Image, region: Region) -> View:
        spare = None if region.spare is None else frame.cut_map(region.spare.astype(np.uint8)) > 0
        under = None if region.under is None else _cut_beneath(frame, region.under)
        return cls(frame=frame, person=frame.cut(photo), hole=frame.cut_map(region.mask), spare=spare, under=under)


def _cut_beneath(frame: Frame, under: Beneath) -> Beneath:
    """What the frame shows of it."""
    from PIL import Image

    from model.beneath import Beneath

    paint = np.asarray(frame.cut(Image.fromarray(under.paint)))
    areas = (under.behind, under.body, under.least, under.worn, under.sleeve)
    return Beneath(paint, *map(frame.cut_map, areas), frame.cut_map(under.along))


class BuiltInMasker:
    """`AutoMasker` over the parser that ships, loaded at first use."""

    def __init__(self, *, device: str = "auto") -> None:
        self._device = device
        self._masker: AutoMasker | None = None
        self._loading = threading.Lock()

    def load(self) -> AutoMasker:
        with self._loading:
            if self._masker is None:
                self._masker = self._read()
            return self._masker

    def _read(self) -> AutoMasker:
        from catvton.devices import choose
        from model import AutoMasker
        from model.compact_parser import CompactParser

        device, _ = choose(self._device)
        try:
            parser = CompactParser.from_pretrained(PARSER, device=device)
        except (FileNotFoundError, ValueError) as error:
            raise WeightsError(
                f"The built-in parser in {PARSER} is missing or damaged ({error}). "
                "To bring it back: git checkout -- resource/compact"
            ) from error
        log.info("parser loaded")
        return AutoMasker(parser.probabilities)

    def __call__(self, image: Image.Image, part: str) -> Mask:
        return self.load()(image, part)

    def parse(self, image: Image.Image) -> Parse:
        return self.load().parse(image)


class Maskers:
    """Which engine has which masker: the published one where its networks were downloaded with the engine.

    Args:
        device: as in `catvton.devices.choose`.
        backend: which DensePose, one of `densepose.backends.BACKENDS`.
    """

    def __init__(self, *, device: str = "auto", backend: str = "torch") -> None:
        self._device, self._backend = device, backend
        self._built_in = BuiltInMasker(device=device)
        self._published: dict[Path, Masker] = {}
        self._loading = threading.Lock()

    @property
    def built_in(self) -> BuiltInMasker:
        return self._built_in

    def __call__(self, card: ModelCard) -> Masker:
        """The card's masker, its networks read at first use, once for all engines that share them."""
        if card.role("densepose") is None:
            return self._built_in
        paths = card.paths
        with self._loading:
            if paths["densepose"] not in self._published:
                self._published[paths["densepose"]] = self.read(paths["densepose"], paths["schp"], mend=card.mend)
            return self._published[paths["densepose"]]

    def read(self, bodies: Path, parsers: Path, *, mend: str) -> PublishedMasker:
        """A masker of the networks in two folders. Raises WeightsError, which ends with the command `mend`."""
        from catvton.devices import choose
        from densepose import DensePoseError, load
        from model import SCHP
        from model.errors import CheckpointError
        from model.fold import fold_norms
        from model.published import PublishedMasker

        device, _ = choose(self._device, "float32")
        try:
            found = load(bodies, backend=self._backend, device=device)
            by_set = {name: SCHP.from_checkpoint(_only(parsers, name), dataset=name, device=device) for name in SETS}
        except (DensePoseError, CheckpointError) as error:
            raise WeightsError(f"The masker's networks cannot be loaded: {error} To mend it: {mend}") from error
        for parser in by_set.values():
            fold_norms(parser.network)  # a fifth less time a photo on a processor; DensePose would gain nothing
        log.info("DensePose and both SCHP parsers loaded")
        return PublishedMasker(found, by_set["lip"], by_set["atr"])


def _only(folder: Path, name: str) -> Path:
    """The one checkpoint of a parser, by the end of its published name."""
    found = sorted(folder.glob(f"*-{name}.pth"))
    if len(found) != 1:
        raise WeightsError(f"One file named *-{name}.pth is needed in {folder}, {len(found)} are there.")
    return found[0]


def find_region(masker: Masker, photo: Image.Image, part: str, *, fitted: bool = True) -> Region:
    """The region of a part, found in the photo (RGB). InputError when there is no person or no such part in view.

    fitted: drawn in to what a garment is laid on; otherwise the mask is the masker's own.
    """
    with sentences():
        found = masker(photo, part)
    if not fitted:
        return _region(found.mask, found.box, found.notes)
    from model.beneath import beneath

    mask = _drawn_in(found)
    under = beneath(np.asarray(photo), mask, found.labels)
    return replace(
        _region(mask, found.box, found.notes), spare=_clear_of_clothes(found) & (mask > 0), under=under
    )


def narrowed(region: Region, needed: np.ndarray, frame: Frame) -> Region:
    """The region without the background and skin that the garment does not reach: they stay as photographed.

    Args:
        needed: float32 h x w in 0..1 over the frame, how surely cloth will show.
        frame: the window it was laid in.
    """
    import cv2

    if region.spare is None:
        return region
    size = (region.mask.shape[1], region.mask.shape[0])
    left, top, right, bottom = frame.inside(size)
    cloth = np.zeros(region.mask.shape, np.uint8)
    cloth[top:bottom, left:right] = frame.back(needed, photo_size=size) > CLOTH
    cloth = cv2.dilate(cloth, _disc(HEM * frame.height))
    mask = np.where(region.spare & (cloth == 0), np.uint8(0), region.mask)
    return replace(region, mask=mask) if mask.any() else region


def _drawn_in(found: Mask) -> np.ndarray:
    """The mask uint8 HxW as garments are laid for it.

    No further than `REACH` from the convex hull of the person's masked parts, nor above the top of the clothes there:
    the garment's box is brought to the mask's, and a mask up to the chin would pull the collar there.
    """
    import cv2

    points = cv2.findNonZero(((found.labels > 0) & (found.mask > 0)).astype(np.uint8))
    if points is None:
        return found.mask
    hull = np.zeros(found.mask.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(points), 255)
    mask = found.mask & cv2.dilate(hull, _disc(REACH * _height(found)))
    clothed = np.flatnonzero((np.isin(found.labels, CLOTHES) & (found.mask > 0)).any(axis=1))
    if clothed.size:
        mask[: max(0, round(clothed[0] - REACH * _height(found)))] = 0
    return mask


def _clear_of_clothes(found: Mask) -> np.ndarray:
    """Bool HxW: background and skin at some distance from everything else the parser found."""
    import cv2

    worn = ~np.isin(found.labels, BARE)
    return cv2.dilate(worn.astype(np.uint8), _disc(CLEARANCE * _height(found))) == 0


def _height(found: Mask) -> float:
    return found.box[3] - found.box[1]


def _disc(radius: float) -> np.ndarray:
    import cv2

    side = 2 * max(1, round(radius)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))


def drawn_region(masker: Masker, photo: Image.Image, mask: np.ndarray) -> Region:
    """The region of a given mask (uint8 HxW {0, 255}).

    The parser sees the photo without the masked pixels, so that nothing under the mask can reach the result.
    """
    from model.errors import NoPersonFound

    try:
        parse = masker.parse(hide(photo, mask))
    except NoPersonFound:
        note = "No person was recognised outside the drawn mask; the picture was framed by the mask alone."
        return _region(mask, _grown(_bounds(mask), photo.size), (note,))
    return _region(mask, parse.box)


def whole_region(masker: Masker, photo: Image.Image, *, size: tuple[int, int]) -> Region:
    """All that a window of the proportions of `size` (W, H) around the person shows: for engines without a mask."""
    with sentences():
        parse = masker.parse(photo)
    left, top, right, bottom = Frame.around(parse.box, photo_size=photo.size, size=size).inside(photo.size)
    mask = np.zeros((photo.height, photo.width), np.uint8)
    mask[top:bottom, left:right] = 255
    return Region(mask=mask, box=parse.box, notes=tuple(parse.notes))


def hide(photo: Image.Image, mask: np.ndarray) -> Image.Image:
    """The photo (RGB) with the masked pixels (255) replaced by grey; the photo itself is left alone."""
    from PIL import Image

    return Image.composite(Image.new("RGB", photo.size, (GREY, GREY, GREY)), photo, Image.fromarray(mask))


def bare(photo: Image.Image, mask: np.ndarray) -> Image.Image:
    """The photo (RGB) as if nothing were under the mask: each masked pixel (255) takes its nearest unmasked neighbour.

    What is cut or blended from it, shrinking and soft edges included, owes nothing to the pixels under the mask.
    """
    from PIL import Image

    from model.raster import fill_nearest

    return Image.fromarray(fill_nearest(np.asarray(photo), mask == 0)[0])


@contextlib.contextmanager
def sentences() -> Iterator[None]:
    """Turns the masker's own errors into `InputError`s with stable codes."""
    from model.errors import MaskError, NoPersonFound

    try:
        yield
    except MaskError as error:
        code = "person.not_found" if isinstance(error, NoPersonFound) else "part.not_visible"
        raise InputError(str(error), code=code) from error


def _region(mask: np.ndarray, box: tuple[float, ...], notes: tuple[str, ...] = ()) -> Region:
    left, top, right, bottom = _bounds(mask)
    box = (min(left, box[0]), min(top, box[1]), max(right, box[2]), max(bottom, box[3]))
    return Region(mask=mask, box=box, notes=tuple(notes))


def _bounds(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _grown(box: tuple[int, int, int, int], size: tuple[int, int], *, factor: float = 2.0) -> tuple[float, ...]:
    """A box about its centre, `factor` as large, cut at the photo's edges: room for a body around a lone mask."""
    left, top, right, bottom = box
    across, down = (right - left) * (factor - 1) / 2, (bottom - top) * (factor - 1) / 2
    return max(0, left - across), max(0, top - down), min(size[0], right + across), min(size[1], bottom + down)
