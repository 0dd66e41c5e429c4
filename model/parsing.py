"""Find the person in a photo and label their pixels, in two looks: the whole photo, then a window around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
from PIL import Image

from model.errors import NoPersonFound
from model.figure import find_head
from model.labels import Label
from model.raster import Box, box_of, close, components, drop_small, fill_holes, fill_nearest, grow, open_
from model.window import Window

Parser = Callable[[Image.Image], np.ndarray]

CANVAS = (384, 512)  # width, height of the map all decisions are made on
LOOK_HEIGHT = 1024  # rows of a window handed to the parser: more would be scaled away

MIN_PERSON = 0.004  # of the window's pixels
MIN_RIVAL = 0.25  # of the chosen person's pixels: others smaller than this are passers-by
SAME_BOX = 0.8  # overlap of two boxes above which a further look would show nothing new
SPECK = 0.0003  # of the window's pixels

NOTE_SEVERAL = (
    "There are several people in the photo: the largest one near the middle was chosen."
    " Crop the photo to choose another."
)


@dataclass(frozen=True)
class Parse:
    """The chosen person in a photo of (width, height) `photo_size`.

    `canvas` is the label map of `window`, uint8 (512, 384), values of `Label`, everybody else left out;
    `others` is bool of the same shape: pixels of other people. `box` is the person's, in photo pixels.
    """

    photo_size: tuple[int, int]
    window: Window
    canvas: np.ndarray
    others: np.ndarray
    box: Box
    notes: tuple[str, ...] = ()

    @property
    def labels(self) -> np.ndarray:
        """The label map at the photo's size: uint8 (H, W), values of `Label`, 0 outside the person."""
        return self.window.back(self.canvas, self.photo_size)


def parse_photo(parser: Parser, photo: Image.Image) -> Parse:
    """Look at the whole photo, then once or twice closer at the person.

    Args:
        parser: 3:4 RGB picture -> float32 (8, h, w) class probabilities that sum to 1.
        photo: RGB, any size.

    Raises:
        NoPersonFound: nobody there.
    """
    window = Window.whole(photo.size)
    seen = _look(parser, photo, window)
    notes = seen.notes  # a closer look may show the chosen person alone
    for _ in range(2):
        closer = Window.around(seen.box)
        if _overlap(closer, window) > SAME_BOX:
            break
        window, before = closer, seen
        seen = _look(parser, photo, window)
        if _overlap(seen.box, before.box) > SAME_BOX:
            break
    return replace(seen, notes=notes or seen.notes)


def _look(parser: Parser, photo: Image.Image, window: Window) -> Parse:
    canvas = _label(parser, photo, window)
    inside = window.back(np.full(canvas.shape, 1, np.uint8), photo.size).any()
    if not inside:
        raise NoPersonFound()
    people = find_people(canvas)
    chosen, rivals = people[0], people[1:]
    person = np.where(chosen, canvas, 0).astype(np.uint8)
    others = (canvas > 0) & ~chosen
    box = window.to_photo(box_of(chosen), CANVAS, photo.size)
    return Parse(photo.size, window, person, others, box, (NOTE_SEVERAL,) if rivals else ())


def _label(parser: Parser, photo: Image.Image, window: Window) -> np.ndarray:
    """The most likely class of each canvas pixel, background where the window leaves the photo."""
    chances = parser(window.cut(photo, max_height=LOOK_HEIGHT))
    if chances.ndim != 3 or chances.shape[0] != len(Label):
        raise ValueError(f"the parser returned shape {chances.shape}, expected ({len(Label)}, h, w)")
    planes = [cv2.resize(np.asarray(p, np.float32), CANVAS, interpolation=cv2.INTER_LINEAR) for p in chances]
    labels = np.argmax(planes, axis=0).astype(np.uint8)
    return labels * _seen(window, photo.size)


def _seen(window: Window, photo_size: tuple[int, int]) -> np.ndarray:
    """uint8 (512, 384): 1 where the window shows the photo, 0 where it shows repeated edge pixels."""
    (width, height), (cols, rows) = window.size, CANVAS
    x = window.left + (np.arange(cols) + 0.5) * width / cols
    y = window.top + (np.arange(rows) + 0.5) * height / rows
    inside = ((y >= 0) & (y < photo_size[1]))[:, None] & ((x >= 0) & (x < photo_size[0]))[None, :]
    return inside.astype(np.uint8)


def find_people(labels: np.ndarray) -> list[np.ndarray]:
    """The people in a label map, the one the user means first; each bool (H, W).

    A person is connected (small gaps are bridged) and has cloth together with skin, hair or shoes, or two kinds of
    cloth: a shirt laid flat on a bed is nobody. The one meant is large and near the middle.

    Raises:
        NoPersonFound: there are none.
    """
    height, width = labels.shape
    joined = close(drop_small(labels > 0, SPECK * labels.size), height / 60)
    least = MIN_PERSON * labels.size
    bodies = [body & (labels > 0) for body in components(joined, min_area=least)]
    people = [person for body in bodies for person in part_neighbours(labels, body) if _is_person(labels[person])]
    if not people:
        raise NoPersonFound()
    weights = [_weight(person, width) for person in people]
    order = np.argsort(weights)[::-1]
    chosen = people[order[0]]
    rivals = [people[i] for i in order[1:] if people[i].sum() >= MIN_RIVAL * chosen.sum()]
    return [chosen | _stray(labels, chosen, people), *rivals]


def _is_person(values: np.ndarray) -> bool:
    counts = np.bincount(values, minlength=len(Label))
    enough = 0.02 * values.size
    body = sum(counts[code] > enough for code in (Label.HAIR, Label.SKIN, Label.SHOES))
    cloth = sum(counts[code] > enough for code in (Label.UPPER, Label.LOWER, Label.DRESS))
    return bool(cloth >= 2 or (cloth and body) or (counts[Label.SKIN] > enough and body >= 2))


def _weight(person: np.ndarray, width: int) -> float:
    """Size, halved for somebody at the very side."""
    column = np.nonzero(person)[1].mean()
    return float(person.sum() * (1 - 0.5 * abs(column - width / 2) / (width / 2)))


def _stray(labels: np.ndarray, chosen: np.ndarray, people: list[np.ndarray]) -> np.ndarray:
    """Loose pieces straight above or below the chosen one, such as feet cut off by a wrong stripe."""
    left, top, right, bottom = box_of(chosen)
    taken = np.logical_or.reduce(people)
    found = np.zeros_like(chosen)
    gap = 0.08 * (bottom - top)
    for piece in components((labels > 0) & ~taken, min_area=SPECK * labels.size):
        x0, y0, x1, y1 = box_of(piece)
        beside = min(x1, right) - max(x0, left) > 0.7 * (x1 - x0)
        if beside and y0 - bottom < gap and top - y1 < gap:
            found |= piece
    return found


def part_neighbours(labels: np.ndarray, body: np.ndarray) -> list[np.ndarray]:
    """Part people who touch: one heap with several heads is cut midway, where it is thinnest.

    Args:
        labels: uint8 (H, W).
        body: bool (H, W), one connected heap.
    """
    columns = _head_columns(labels, body)
    if len(columns) < 2:
        return [body]
    heights = cv2.blur(body.sum(0).astype(np.float32)[None, :], (5, 1))[0]
    cuts = [0]
    for a, b in pairwise(columns):
        start, end = a + 0.25 * (b - a), b - 0.25 * (b - a)
        cuts.append(int(start) + int(np.argmin(heights[int(start) : int(end) + 1])))
    cuts.append(body.shape[1])
    parts = []
    for a, b in pairwise(cuts):
        part = np.zeros_like(body)
        part[:, a:b] = body[:, a:b]
        parts.append(part)
    return parts


def _head_columns(labels: np.ndarray, body: np.ndarray) -> list[float]:
    """Centre columns of the heads in a heap: hair with the skin next to it, each well apart from the others."""
    hair = open_(body & (labels == Label.HAIR), labels.shape[0] / 200)
    face = body & (labels == Label.SKIN) & grow(hair, labels.shape[0] / 25)
    heads = [head for head in components(hair | face) if (head & hair).sum() > SPECK * labels.size]
    largest = max((head.sum() for head in heads), default=0)
    columns: list[float] = []
    widths: list[int] = []
    for head in heads:
        left, _, right, _ = box_of(head)
        centre, width = (left + right) / 2, right - left
        apart = all(abs(centre - c) > 0.75 * (width + w) for c, w in zip(columns, widths, strict=True))
        if apart and head.sum() > 0.3 * largest and (head & face).sum() > 0.1 * (head & hair).sum():
            columns.append(centre)
            widths.append(width)
    return sorted(columns)


def clean(labels: np.ndarray) -> np.ndarray:
    """Remove specks: each class loses its smallest pieces to what surrounds them.

    Args:
        labels: uint8 (H, W) of one person.
    """
    result = labels.copy()
    least = SPECK * labels.size
    for code in Label:
        if code == Label.BACKGROUND:
            continue
        mask = result == code
        specks = mask & ~drop_small(mask, least)
        if specks.any():
            result = _give_away(result, specks)
    inside = fill_holes(result > 0, least)
    return _give_away(result, inside & (result == 0))


def settle_names(labels: np.ndarray) -> np.ndarray:
    """Correct two names a parser mixes up, by where the cloth lies on the body.

    A "dress" that lies wholly under a top is a skirt or shorts. "Trousers" that reach up to the shoulders, with no top
    in sight, are one piece: a jumpsuit, or denim all over.

    Args:
        labels: uint8 (H, W) of one person.
    """
    counts = np.bincount(labels.ravel(), minlength=len(Label))
    if counts[Label.DRESS] and counts[Label.UPPER] > 0.25 * counts[Label.DRESS]:
        hem = np.percentile(np.nonzero(labels == Label.UPPER)[0], 95)  # a bodice half taken for a top has none
        if np.percentile(np.nonzero(labels == Label.DRESS)[0], 8) > hem:
            return np.where(labels == Label.DRESS, Label.LOWER, labels).astype(np.uint8)
    if counts[Label.LOWER] and counts[Label.UPPER] + counts[Label.DRESS] < 0.1 * counts[Label.LOWER]:
        head = find_head(labels, box_of(labels > 0))
        top = np.flatnonzero((labels == Label.LOWER).any(1))[0]
        if head is not None and top <= head.chin + 1.2 * (head.chin - head.top):
            return np.where(labels == Label.LOWER, Label.DRESS, labels).astype(np.uint8)
    return labels


def _give_away(labels: np.ndarray, specks: np.ndarray) -> np.ndarray:
    """Each speck pixel takes the label of the nearest pixel that is none."""
    if not specks.any() or specks.all():
        return labels
    return fill_nearest(labels, ~specks)[0]


def _overlap(a: Box | Window, b: Box | Window) -> float:
    """Intersection over union of two boxes."""
    (l0, t0, r0, b0), (l1, t1, r1, b1) = _edges(a), _edges(b)
    width, height = min(r0, r1) - max(l0, l1), min(b0, b1) - max(t0, t1)
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    return common / ((r0 - l0) * (b0 - t0) + (r1 - l1) * (b1 - t1) - common)


def _edges(box: Box | Window) -> Box:
    return (box.left, box.top, box.right, box.bottom) if isinstance(box, Window) else box
