"""Laying a garment roughly on a body, so that the try-on network only has to mend it.

Two steps: an affine one brings the cut-out's box to the mask's, then `WarpNet` bends it along the body and says where
cloth will show. Both use the mask, the picture outside the mask and the garment, never what the mask hides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
import torch
from PIL import Image

from catvton.sleeves import bare, crease, sleeved
from catvton.warp_net import GRID, WarpNet
from catvton.widening import Widened, widen
from model.beneath import Beneath

CANVAS_MARGIN = 0.04  # empty border around a garment on its canvas, as a fraction of the canvas
FRINGE = 0.006  # of the canvas' height: how far in a cut-out's edge may still show what the garment lay on
SIDE_INSET = 0.03  # masks reach this far past the garment (fraction of the frame's height), less above it
TOP_INSET = 0.025
TRUST = 1.0  # share of the coarse structure, too, that comes from the placed garment where both agree
NOISE = (0.08, 0.2)  # RGB distance, of a possible 1.7, from where on and up to where the network's changes are believed
DISTANT = 0.6  # RGB distance, of a possible 1.7, at which the network is believed instead of the placement
STRETCH = 1.4  # times higher than in proportion a garment may be laid where it could end earlier
CLOTHED = 0.35  # it ends earlier unless more than this share of the mask below shows old clothes
CRISP = 6.0  # the network hedges along silhouettes; its odds are raised to this power to draw an edge


def garment_canvas(cutout: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """A cut-out scaled to fill a canvas.

    Args:
        cutout: RGBA, any size.
        size: the canvas (W, H).

    Returns:
        uint8 (H, W, 4), the garment's box centred with `CANVAS_MARGIN` around it. At its edge and around it (there
        under alpha 0) the colours from a little further in go on, so that nothing of the photo's background shows.
    """
    pixels = np.asarray(cutout.convert("RGBA"))
    left, top, right, bottom = box_of(pixels[..., 3] > 127)
    pixels = np.dstack([cv2.multiply(pixels[..., :3], pixels[..., [3, 3, 3]], scale=1 / 255), pixels[..., 3]])
    inner = (size[0] * (1 - 2 * CANVAS_MARGIN), size[1] * (1 - 2 * CANVAS_MARGIN))
    scale = min(inner[0] / (right - left), inner[1] / (bottom - top))
    matrix = np.array(
        [[scale, 0, size[0] / 2 - scale * (left + right) / 2], [0, scale, size[1] / 2 - scale * (top + bottom) / 2]]
    )
    scaled = warp_affine(pixels, matrix, size, border=(0, 0, 0, 0))
    alpha = scaled[..., 3:].astype(np.float32) / 255
    inner = cv2.erode(alpha, np.ones((2 * round(size[1] * FRINGE) + 1,) * 2, np.uint8))[..., None]
    if inner.max() < 0.5:  # nothing is that thick
        inner = alpha
    colours = _spread(scaled[..., :3].astype(np.float32) / 255 * inner / np.maximum(alpha, 1e-3), inner)
    return np.dstack([np.clip(colours * 255 + 0.5, 0, 255).astype(np.uint8), scaled[..., 3]])


def warp_affine(
    pixels: np.ndarray, matrix: np.ndarray, size: tuple[int, int], *, border: tuple[int, ...] = (255, 255, 255, 0)
) -> np.ndarray:
    """RGBA uint8 through an affine map (source to target pixel edges), antialiased when it shrinks."""
    shrink = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    if shrink < 0.7:
        pixels = cv2.GaussianBlur(pixels, (0, 0), 0.45 / shrink)
    centred = matrix.astype(np.float64).copy()
    centred[:, 2] += matrix[:, :2] @ np.array([0.5, 0.5]) - 0.5
    return cv2.warpAffine(pixels, centred, size, flags=cv2.INTER_LINEAR, borderValue=border)


def box_of(region: np.ndarray) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of a boolean (H, W) map, the last two exclusive; the whole map when it is empty."""
    rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    if not rows.size:
        return 0, 0, region.shape[1], region.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def rough_matrix(canvas_alpha: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The affine (2, 3) from canvas to frame that brings the garment's box to the mask's, less its reserve."""
    source, target = box_of(canvas_alpha > 127), box_of(mask > 127)
    side, top = SIDE_INSET * mask.shape[0], TOP_INSET * mask.shape[0]
    inset = np.array([min(side, (target[2] - target[0]) / 6), min(top, (target[3] - target[1]) / 8)])
    start = np.array(target[:2]) + inset
    end = np.array(target[2:]) - np.array([inset[0], min(side, (target[3] - target[1]) / 6)])
    scale = (end - start) / np.maximum(1, np.array(source[2:]) - np.array(source[:2]))
    return np.hstack([np.diag(scale), (start - scale * np.array(source[:2]))[:, None]])


def _below(spare: np.ndarray, under: Beneath | None, sleeves: float | None) -> tuple[np.ndarray, int]:
    """What a hem may leave uncovered, and the row that it reaches at least.

    Under a top or a dress legs are drawn where old clothes go; trousers go down to where the old ones did.
    """
    if under is None:
        return spare, 0
    rows = np.flatnonzero(under.least.any(1))
    return (spare if sleeves is None else spare | under.worn), int(rows[-1]) + 1 if rows.size else 0


def _unstretched(
    matrix: np.ndarray, canvas_alpha: np.ndarray, mask: np.ndarray, spare: np.ndarray, least: int
) -> np.ndarray:
    """The matrix no more than `STRETCH` times in proportion high, if little but `spare` is then left below it.

    It reaches row `least` all the same.
    """
    across, down = matrix[0, 0], matrix[1, 1]
    if down <= STRETCH * across:
        return matrix
    _, top, _, bottom = box_of(canvas_alpha > 127)
    start = down * top + matrix[1, 2]
    down = min(down, max(STRETCH * across, (least - start) / (bottom - top)))
    hem = round(start + down * (bottom - top))
    below = mask[hem:] > 127
    if not below.any() or spare[hem:][below].mean() < 1 - CLOTHED:
        return matrix
    return np.array([[across, 0, matrix[0, 2]], [0, down, start - down * top]])


def network_input(person: np.ndarray, mask: np.ndarray, rough: np.ndarray) -> np.ndarray:
    """What `WarpNet` reads.

    Args:
        person: uint8 (H, W, 3); pixels under the mask are ignored.
        mask: uint8 (H, W), 255 may change.
        rough: uint8 (H, W, 4), the garment after `rough_matrix`.

    Returns:
        float32 (8, 96, 72).
    """
    mask, person, rough = (
        cv2.resize(a, GRID, interpolation=cv2.INTER_AREA) for a in (_hide(mask), _outside(person, mask), rough)
    )
    hole = mask[None].astype(np.float32) / 255
    alpha = rough[..., 3:].transpose(2, 0, 1).astype(np.float32) / 255
    colours = (rough[..., :3].transpose(2, 0, 1).astype(np.float32) / 127.5 - 1) * alpha
    visible = person.transpose(2, 0, 1).astype(np.float32) / 127.5 - 1
    return np.concatenate((hole, visible, colours, alpha))


def _hide(mask: np.ndarray) -> np.ndarray:
    return ((mask > 127) * np.uint8(255)).astype(np.uint8)


def _outside(person: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.where((mask > 127)[..., None], np.uint8(128), person)


@dataclass(frozen=True)
class Placement:
    """A garment laid on a frame.

    Attributes:
        image: RGB picture at frame size: the person outside the mask; in the hole the garment, its mean colour where
            more cloth should show, and what surrounds the hole spread into the rest.
        canvas: uint8 (h, w, 4), the garment at its own resolution.
        matrix: (2, 3) affine from canvas to frame, in frame-size pixels.
        displacement: float32 (2, 96, 72), `WarpNet`'s, zero for the rough placement alone.
        odds: float32 (96, 72), logits of where cloth shows.
        frame_size: (W, H).
        widened: where it goes on beyond its own edge; None: nowhere.
        sleeves: share of an arm that the garment's sleeves cover; None: not known, wherever it lies.
        bare: float32 (H, W) in 0..1 at the frame's size, where arms come out of sleeves; None: nowhere.
        shade: float32 (H, W), what the garment's colours are multiplied by; None: by nothing.
        still: bool (H, W), where only what stands behind the person shows: the try-on network has no say there. None:
            nowhere.
    """

    image: Image.Image
    canvas: np.ndarray
    matrix: np.ndarray
    displacement: np.ndarray
    odds: np.ndarray
    frame_size: tuple[int, int]
    widened: Widened | None = None
    still: np.ndarray | None = None
    sleeves: float | None = None
    bare: np.ndarray | None = None
    shade: np.ndarray | None = None

    def render(self, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """The placed garment alone at any size (W, H): float32 RGB (H, W, 3) in 0..1 and alpha (H, W) in 0..1."""
        x, y = self._sources(size)
        pixels = cv2.remap(self.canvas, x, y, cv2.INTER_LINEAR, borderValue=(255, 255, 255, 0)).astype(np.float32) / 255
        alpha = pixels[..., 3] * self.cloth(size)
        alpha = self.widened.alpha(alpha) if self.widened else alpha
        colours = pixels[..., :3]
        if self.shade is not None:
            colours = colours * cv2.resize(self.shade, size)[..., None]
        if self.bare is not None:
            alpha = alpha * (1 - cv2.resize(self.bare, size))
        return colours, alpha

    def cloth(self, size: tuple[int, int]) -> np.ndarray:
        """How surely cloth shows, float32 (H, W) in 0..1, found on the canvas or not."""
        odds = CRISP * cv2.resize(self.odds, size, interpolation=cv2.INTER_CUBIC)
        shown = 1 / (1 + np.exp(-np.clip(odds, -30, 30)))
        return shown if self.bare is None else shown * (1 - cv2.resize(self.bare, size))

    def covered(self, size: tuple[int, int]) -> np.ndarray:
        """How surely cloth shows, going on beyond the garment's own edge counted in, float32 (H, W) in 0..1."""
        return np.maximum(self.cloth(size), self.render(size)[1])

    def over(self, person: Image.Image, mask: np.ndarray, under: Beneath | None = None) -> Placement:
        """The same garment in the same place over another picture of the frame, or with another mask."""
        placed = replace(self, widened=None, bare=None, shade=None)
        if under is not None:
            under = under if self.sleeves is None else sleeved(under, self.sleeves)
            uncovered = None if self.sleeves is None else bare(under, self.sleeves)
            placed = replace(placed, bare=uncovered, shade=crease(under))
            placed = replace(placed, widened=widen(placed.render(self.frame_size)[1], under))
        colours, alpha = placed.render(self.frame_size)
        around = background(np.asarray(person.convert("RGB")), mask, under)
        shown = placed.cloth(self.frame_size)
        still = None if under is None else under.behind & (under.paint[..., 3] == 0) & (np.maximum(alpha, shown) < 0.05)
        image = compose(person, mask, colours, alpha, shown, self.mean_colour, around)
        return replace(placed, image=image, still=still)

    @cached_property
    def mean_colour(self) -> np.ndarray:
        """float32 (3,) in 0..1 over the garment."""
        return mean_colour(self.canvas)

    def _sources(self, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """For every pixel at `size`, the canvas pixel it takes (x and y, float32)."""
        width, height = size
        shift = [cv2.resize(d, size, interpolation=cv2.INTER_CUBIC) for d in self.displacement]
        x = (np.arange(width, dtype=np.float32)[None] + 0.5) / width + shift[0]
        y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height + shift[1]
        x, y = x * self.frame_size[0], y * self.frame_size[1]
        back = cv2.invertAffineTransform(self.matrix).astype(np.float32)
        x, y = (row[0] * x + row[1] * y + row[2] - 0.5 for row in back)
        return self.widened.sources(x, y) if self.widened else (x, y)


def mean_colour(canvas: np.ndarray) -> np.ndarray:
    """Mean RGB of an RGBA canvas' garment, float32 (3,) in 0..1."""
    weight = canvas[..., 3:].astype(np.float32)
    return (canvas[..., :3] * weight).sum((0, 1)) / max(1.0, float(weight.sum())) / 255


def place(
    cutout: Image.Image,
    person: Image.Image,
    mask: np.ndarray,
    *,
    network: WarpNet | None,
    spare: np.ndarray | None = None,
    under: Beneath | None = None,
    sleeves: float | None = None,
    detail: float = 3.0,
) -> Placement:
    """Lay a garment on a frame.

    Args:
        cutout: RGBA garment.
        person: RGB frame; pixels under the mask are not read.
        mask: uint8 (H, W) at the frame's size, 255 may change.
        network: bends the garment along the body; None leaves the affine placement.
        spare: bool (H, W), what of the mask may stay as it is; a short garment is not drawn long over bare legs.
        under: what may be seen where the garment does not reach, at the frame's size.
        sleeves: share of an arm that the garment's sleeves cover; None where that is not known.
        detail: the canvas keeps up to this many times the frame's resolution, for sharp prints.

    Returns:
        A `Placement` at the frame's size.
    """
    size = person.size
    zoom = float(np.clip(max(cutout.width / size[0], cutout.height / size[1]), 1, detail))
    canvas = garment_canvas(cutout, (round(size[0] * zoom), round(size[1] * zoom)))
    alpha = cv2.resize(canvas[..., 3], size, interpolation=cv2.INTER_AREA)
    matrix = rough_matrix(alpha, mask)
    if spare is not None:
        matrix = _unstretched(matrix, alpha, mask, *_below(spare, under, sleeves))
    pixels = np.asarray(person.convert("RGB"))
    displacement, odds = _bend(canvas, matrix, pixels, mask, network)
    to_frame = matrix @ np.diag([1 / zoom, 1 / zoom, 1])
    laid = Placement(person, canvas, to_frame, displacement, odds, size, sleeves=sleeves)
    return laid.over(person, mask, under)


def compose(
    person: Image.Image,
    mask: np.ndarray,
    colours: np.ndarray,
    alpha: np.ndarray,
    shown: np.ndarray,
    mean: np.ndarray,
    around: np.ndarray,
) -> Image.Image:
    """The frame with its hole filled (see `Placement.image`).

    Args:
        person: RGB (W, H); mask: uint8 (H, W).
        colours, alpha: the placed garment, float32 (H, W, 3) and (H, W) in 0..1.
        shown: float32 (H, W) in 0..1, where cloth shows, found on the canvas or not.
        mean: the garment's mean colour, (3,) in 0..1.
        around: float32 (H, W, 3) in 0..1, what is there without any cloth.
    """
    cloth, cover = shown[..., None], alpha[..., None]
    inside = colours * cover + (mean * cloth + around * (1 - cloth)) * (1 - cover)
    filled = np.where((mask > 127)[..., None], inside * 255 + 0.5, np.asarray(person.convert("RGB")))
    return Image.fromarray(np.clip(filled, 0, 255).astype(np.uint8))


def background(person: np.ndarray, mask: np.ndarray, under: Beneath | None = None) -> np.ndarray:
    """What a hole shows without any cloth: what surrounds it spread into it, and over that the limbs, if known.

    Args:
        person: uint8 (H, W, 3); mask: uint8 (H, W), 255 is the hole.
        under: at the same size; then only what stands behind the person is spread, not the person.

    Returns:
        float32 (H, W, 3) in 0..1, equal to the person outside the hole.
    """
    if under is None:
        return fill_hole(person, mask)
    hole = (mask > 127)[..., None]
    unknown = np.where(under.behind, mask, np.uint8(255))
    spread = fill_hole(person, mask if unknown.all() else unknown)
    paint = under.paint.astype(np.float32) / 255
    inside = paint[..., :3] * paint[..., 3:] + spread * (1 - paint[..., 3:])
    return np.where(hole, inside, person.astype(np.float32) / 255)


def fill_hole(person: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """What surrounds a hole spread smoothly into it: pull averages down a pyramid of the known pixels, push them back.

    Args:
        person: uint8 (H, W, 3).
        mask: uint8 (H, W), 255 is the hole.

    Returns:
        float32 (H, W, 3) in 0..1, equal to the person outside the hole.
    """
    known = (mask <= 127).astype(np.float32)[..., None]
    return _spread(person.astype(np.float32) / 255 * known, known)


def _spread(weighted: np.ndarray, known: np.ndarray) -> np.ndarray:
    """`weighted / known` where anything is known, the coarser levels' answer elsewhere."""
    here = weighted / np.maximum(known, 1e-4)
    height, width = known.shape[:2]
    if known.min() > 0 or min(height, width) <= 2:
        return here
    half = ((width + 1) // 2, (height + 1) // 2)
    coarse = [cv2.resize(a, half, interpolation=cv2.INTER_AREA) for a in (weighted, known)]
    below = cv2.resize(_spread(coarse[0], coarse[1][..., None]), (width, height), interpolation=cv2.INTER_LINEAR)
    sure = np.minimum(1, known)
    return here * sure + below * (1 - sure)


def _bend(
    canvas: np.ndarray, matrix: np.ndarray, person: np.ndarray, mask: np.ndarray, network: WarpNet | None
) -> tuple[np.ndarray, np.ndarray]:
    """Displacement (2, 96, 72) and odds (96, 72), from the network or, without one, zero and certain.

    The network looks at the picture and at its mirror image; the mean of both answers is a little more exact.
    """
    if network is None:
        return np.zeros((2, GRID[1], GRID[0]), np.float32), np.full((GRID[1], GRID[0]), 30, np.float32)
    size = (mask.shape[1], mask.shape[0])
    at_frame = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA)
    rough = warp_affine(at_frame, matrix, size)
    parameter = next(network.parameters())
    batch = torch.from_numpy(network_input(person, mask, rough))[None].to(parameter.device, parameter.dtype)
    with torch.inference_mode():
        displacements, odds = (part.float().cpu().numpy() for part in network(torch.cat((batch, batch.flip(-1)))))
    mirrored = displacements[1, :, :, ::-1] * np.array([-1, 1], np.float32)[:, None, None]
    return (displacements[0] + mirrored) / 2, (odds[0, 0] + odds[1, 0, :, ::-1]) / 2


def merge_detail(generated: Image.Image, placement: Placement, size: tuple[int, int]) -> Image.Image:
    """Coarse structure from the network, fine texture from the placed garment, where both agree.

    Args:
        generated: RGB at the frame's size.
        placement: where the garment lies.
        size: (W, H) of the result, usually the frame's size in the photo's own pixels.

    Returns:
        RGB picture at `size`.
    """
    steady = _steadied(generated, placement.image, placement.still)
    base = np.asarray(steady.resize(size, Image.Resampling.BICUBIC)).astype(np.float32) / 255
    colours, alpha = placement.render(size)
    sigma = 1.6 * size[1] / placement.frame_size[1]
    coarse = _blur(colours * alpha[..., None], sigma) / np.maximum(_blur(alpha, sigma), 1e-3)[..., None]
    smooth = _blur(base, sigma)
    distance = np.sqrt(np.square(_blur(coarse - smooth, 2 * sigma)).sum(-1))
    agree = np.exp(-((distance / DISTANT) ** 4)) * alpha
    texture, light = colours - coarse, TRUST * (coarse - smooth)
    merged = base + agree[..., None] * (texture + light - (base - smooth))
    return Image.fromarray(np.clip(merged * 255 + 0.5, 0, 255).astype(np.uint8))


def _steadied(generated: Image.Image, start: Image.Image, still: np.ndarray | None) -> Image.Image:
    """The network's picture where it changed its start for a reason; its blotches and the rings of its patches go.

    Nothing changes where `still`.
    """
    before = np.asarray(start.convert("RGB")).astype(np.float32) / 255
    change = np.asarray(generated.convert("RGB").resize(start.size)).astype(np.float32) / 255 - before
    distance = np.sqrt(np.square(_blur(change, 2.0)).sum(-1, keepdims=True))
    share = np.clip((distance - NOISE[0]) / (NOISE[1] - NOISE[0]), 0, 1)
    if still is not None:
        share = share * (1 - _blur(still.astype(np.float32), 1.0))[..., None]
    merged = before + share * share * (3 - 2 * share) * change
    return Image.fromarray(np.clip(merged * 255 + 0.5, 0, 255).astype(np.uint8))


def _blur(pixels: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(pixels, (0, 0), sigma)
