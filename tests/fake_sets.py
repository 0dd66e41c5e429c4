"""Small fake try-on sets in the layouts of the real ones: every picture is drawn here, from its own name.

A person wears the garment of their own name: the garment's picture shows the same cloth, the mask covers where it is
worn. The same name and size give the same file everywhere.
"""

from __future__ import annotations

import io
import json
import tarfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (48, 64)  # (W, H)
CATEGORIES = {"upper_body": "upper", "lower_body": "lower", "dresses": "overall"}
# Where a garment is worn, in shares of the picture: (left, top, right, bottom).
WORN = {"upper": (0.3, 0.25, 0.7, 0.55), "lower": (0.34, 0.55, 0.66, 0.9), "overall": (0.3, 0.25, 0.7, 0.9)}


# -- pictures --------------------------------------------------------------------------------------------------------


def person(name: str, part: str = "upper", size: tuple[int, int] = SIZE) -> np.ndarray:
    """uint8 (H, W, 3): a figure on a light wall, in the garment of its name."""
    pixels = _ground(name, size, level=215)
    for box, colour in {(0.42, 0.08, 0.58, 0.25): (225, 180, 150), (0.32, 0.25, 0.68, 0.95): (70, 70, 90)}.items():
        pixels[_inside(box, size)] = colour
    where = _inside(WORN[part], size)
    pixels[where] = _cloth(name, size)[where]
    return pixels


def garment(name: str, size: tuple[int, int] = SIZE) -> np.ndarray:
    """uint8 (H, W, 3): the cloth of that name, laid flat on white."""
    pixels = np.full((size[1], size[0], 3), 255, np.uint8)
    where = _inside((0.15, 0.15, 0.85, 0.85), size)
    pixels[where] = _cloth(name, size)[where]
    return pixels


def mask(part: str = "upper", size: tuple[int, int] = SIZE) -> np.ndarray:
    """uint8 (H, W) {0, 255}: where the garment is worn, a little wider."""
    left, top, right, bottom = WORN[part]
    return _inside((left - 0.05, top - 0.03, right + 0.05, bottom + 0.03), size).astype(np.uint8) * 255


def _ground(name: str, size: tuple[int, int], *, level: int) -> np.ndarray:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return rng.integers(level - 8, level + 8, (size[1], size[0], 3), dtype=np.uint8)


def _cloth(name: str, size: tuple[int, int]) -> np.ndarray:
    """uint8 (H, W, 3): two colours in stripes, both drawn from the name."""
    rng = np.random.default_rng(zlib.crc32(b"cloth" + name.encode()))
    colours, turn = rng.integers(20, 230, (2, 3), dtype=np.uint8), int(rng.integers(2))
    along = np.indices((size[1], size[0]))[turn]
    return colours[along * 8 // size[1] % 2]


def _inside(box: tuple[float, float, float, float], size: tuple[int, int]) -> np.ndarray:
    rows, columns = np.indices((size[1], size[0]))
    x, y = (columns + 0.5) / size[0], (rows + 0.5) / size[1]
    return (x > box[0]) & (x < box[2]) & (y > box[1]) & (y < box[3])


def encoded(pixels: np.ndarray, kind: str = "JPEG") -> bytes:
    """The picture's file: photos as JPEG, masks as PNG."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **({"quality": 95} if kind == "JPEG" else {}))
    return file.getvalue()


def _write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(pixels, "PNG" if path.suffix == ".png" else "JPEG"))


# -- sets ------------------------------------------------------------------------------------------------------------


def write_vitonhd(root: Path, *, pairs: int = 4, size: tuple[int, int] = SIZE, masks: bool = True) -> Path:
    """VITON-HD under `root`: `pairs` training cases (00000_00 ...) and as many test cases (10000_00 ...).

    The test list pairs each person with the next one's garment; the training list is in order.
    """
    train, test = ([f"{first + i:05d}_00" for i in range(pairs)] for first in (0, 10_000))
    for split, names, garments in (("train", train, train), ("test", test, others(test))):
        for name in names:
            _write(root / split / "image" / f"{name}.jpg", person(name, size=size))
            _write(root / split / "cloth" / f"{name}.jpg", garment(name, size))
            if masks:
                _write(root / split / "agnostic-mask" / f"{name}_mask.png", mask(size=size))
        lines = [f"{one}.jpg {other}.jpg\n" for one, other in zip(names, garments, strict=True)]
        (root / f"{split}_pairs.txt").write_text("".join(lines))
    return root


def write_dresscode(root: Path, *, per_category: int = 2, size: tuple[int, int] = SIZE, masks: bool = True) -> Path:
    """DressCode under `root`: in each category `per_category` training cases and as many test cases."""
    for at, (category, part) in enumerate(CATEGORIES.items()):
        folder = root / category
        numbers = [f"{at * 2 * per_category + i:06d}" for i in range(2 * per_category)]
        for number in numbers:
            _write(folder / "images" / f"{number}_0.jpg", person(number, part, size))
            _write(folder / "images" / f"{number}_1.jpg", garment(number, size))
            if masks:
                _write(folder / "agnostic_masks" / f"{number}_0.png", mask(part, size))
        train, test = numbers[:per_category], numbers[per_category:]
        for name, people, garments in (
            ("train_pairs", train, train),
            ("test_pairs_paired", test, test),
            ("test_pairs_unpaired", test, others(test)),
        ):
            lines = [f"{one}_0.jpg {other}_1.jpg\n" for one, other in zip(people, garments, strict=True)]
            (folder / f"{name}.txt").write_text("".join(lines))
    return root


def others(names: list[str]) -> list[str]:
    """Another of the names for each; one alone has only itself."""
    return [*names[1:], *names[:1]]


def write_table(root: Path, *, pairs: int = 4, size: tuple[int, int] = SIZE, masks: bool = True) -> Path:
    """A CSV of pairs under `root` with its pictures beside it, the three parts in turn. Returns the CSV's path."""
    rows = ["person,garment,mask,part" if masks else "person,garment,part"]
    for i in range(pairs):
        name, part = f"look{i:02d}", list(WORN)[i % len(WORN)]
        _write(root / "people" / f"{name}.jpg", person(name, part, size))
        _write(root / "clothes" / f"{name}.jpg", garment(name, size))
        if masks:
            _write(root / "masks" / f"{name}.png", mask(part, size))
        rows.append(",".join([f"people/{name}.jpg", f"clothes/{name}.jpg", *[f"masks/{name}.png"] * masks, part]))
    (root / "pairs.csv").write_text("\n".join(rows) + "\n")
    return root / "pairs.csv"


def write_shards(
    root: Path, *, pairs: int = 4, per_shard: int = 2, size: tuple[int, int] = SIZE, masks: bool = True
) -> str:
    """WebDataset shards under `root`, the three parts in turn; every second sample gives its part as JSON.

    Returns the brace pattern of the shards.
    """
    root.mkdir(parents=True, exist_ok=True)
    for start in range(0, pairs, per_shard):
        with tarfile.open(root / f"pairs-{start // per_shard:06d}.tar", "w") as tar:
            for i in range(start, min(start + per_shard, pairs)):
                add_sample(tar, f"{i:06d}", sample(f"look{i:02d}", list(WORN)[i % len(WORN)], size, masks=masks, at=i))
    return str(root / f"pairs-{{000000..{(pairs - 1) // per_shard:06d}}}.tar")


def sample(name: str, part: str, size: tuple[int, int] = SIZE, *, masks: bool = True, at: int = 0) -> dict[str, bytes]:
    """One sample's files by their endings."""
    said = {"json": json.dumps({"part": part}).encode()} if at % 2 else {"part.txt": f"{part}\n".encode()}
    files = {"person.jpg": encoded(person(name, part, size)), "garment.jpg": encoded(garment(name, size)), **said}
    return files | ({"mask.png": encoded(mask(part, size), "PNG")} if masks else {})


def add_sample(tar: tarfile.TarFile, key: str, files: dict[str, bytes]) -> None:
    for ending, data in files.items():
        entry = tarfile.TarInfo(f"{key}.{ending}")
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
