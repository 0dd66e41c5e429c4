"""The network at work: `DensePose` takes photos and gives label maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from densepose.box_head import Detections
from densepose.charts import label_map
from densepose.config import Config
from densepose.config_files import SHIPPED, bases, read_config
from densepose.errors import ConfigError, DensePoseError
from densepose.model import DensePoseNet
from densepose.photos import Prepared, batch, enlarge, prepare
from densepose.results import Box, Instance, Surface, scale_box
from densepose.weights import find_weights, load_strictly, read_state

Maps = dict[str, torch.Tensor]


class DensePose:
    """Finds people in photos and says which body part each pixel shows. Draws no random numbers; computes in float32.

    Safe to share between threads.

    Args:
        network: with its weights, on `device`.
        device: where `network` is.
        min_score: probability from 0 to 1 above which something counts as a person.
    """

    def __init__(self, network: DensePoseNet, *, device: str | torch.device = "cpu", min_score: float = 0.8) -> None:
        if not 0 <= min_score <= 1:
            raise DensePoseError(f"min_score must be from 0 to 1, not {min_score}.")
        self.network = network
        self.config: Config = network.config
        self.device = torch.device(device)
        self.min_score = min_score

    @classmethod
    def from_pretrained(
        cls, folder: str | PathLike, *, device: str | torch.device = "cpu", min_score: float = 0.8,
        config: str | None = None, weights: str | None = None,
    ) -> DensePose:  # fmt: skip
        """Load a published network: one .yaml with the files it is based on, and one .pkl or .safetensors.

        Args:
            folder: where they lie, e.g. with `densepose_rcnn_R_50_FPN_s1x.yaml`, `Base-DensePose-RCNN-FPN.yaml` and
                `model_final_162be9.pkl`.
            device: "cpu", "cuda", "mps", ...
            min_score: probability above which something counts as a person.
            config: which .yaml, where there are several or none; a name in the folder, or of a published one.
            weights: which weights file, where there are several.

        Raises:
            ConfigError: no such config, or one that cannot be run here.
            WeightsFileError: no weights, damaged or malicious ones, or weights of another network.
        """
        folder = Path(folder)
        path = find_config(folder, name=config)
        with torch.device("meta"):  # no memory and no random numbers for weights that are replaced at once
            network = DensePoseNet(read_config(path))
        source = find_weights(folder, name=weights)
        load_strictly(network, read_state(source), source=source.name)
        network = network.eval().requires_grad_(False).to(device)
        return cls(network, device=device, min_score=min_score)

    def __call__(self, image: Image.Image) -> np.ndarray:
        """The top-scoring person's parts.

        Args:
            image: the photo, upright; any mode and size.

        Returns:
            uint8 (H, W), labels 0 to 24 (see `Instance.labels`); all 0 when there is nobody.

        Raises:
            DensePoseError: the network predicts surface embeddings, not charts.
        """
        return self.batch([image])[0]

    def batch(self, images: Sequence[Image.Image], *, size: int = 4) -> list[np.ndarray]:
        """`__call__` for several photos; up to `size` of those that become equally large go through at once."""
        self._need_charts()
        labels: list[np.ndarray] = [np.zeros((image.height, image.width), np.uint8) for image in images]
        for n, instances in self._charts(images, at_most=1, size=size):
            if instances:
                labels[n] = instances[0].labels
        return labels

    def instances(self, image: Image.Image, *, at_most: int = 20) -> tuple[Instance, ...]:
        """Everybody in the photo, best score first, at most `at_most` of them.

        Raises:
            DensePoseError: the network predicts surface embeddings, not charts.
        """
        self._need_charts()
        return next(self._charts([image], at_most=at_most, size=1))[1]

    def embeddings(self, image: Image.Image, *, at_most: int = 20) -> tuple[Surface, ...]:
        """Everybody in the photo as a CSE network sees them, best score first.

        Raises:
            DensePoseError: the network predicts charts, not embeddings.
        """
        if not self.config.has_embeddings:
            raise DensePoseError("This DensePose network predicts charts: call it for labels, it has no embeddings.")
        _, photo, found, maps = next(self._look([image], at_most=at_most, size=1))
        return tuple(
            Surface(box, score, maps["embedding"][n].numpy(), maps["coarse"][n].numpy())
            for n, (box, score) in enumerate(_in_photo(photo, found))
        )

    @torch.inference_mode()
    def vertices(self, mesh: str) -> np.ndarray:
        """float32 (V, D), rows of length 1: the embedding of each vertex of a mesh of a CSE network.

        Raises:
            DensePoseError: the network has no such mesh.
        """
        embedder = getattr(self.network.roi_heads.embedder, f"embedder_{mesh}", None)
        if embedder is None:
            raise DensePoseError(f"This DensePose network has no embeddings of a mesh called {mesh!r}.")
        return embedder().cpu().numpy()

    def _need_charts(self) -> None:
        if self.config.has_embeddings:
            raise DensePoseError("This DensePose network predicts embeddings, not part labels: use embeddings().")

    def _charts(
        self, images: Sequence[Image.Image], *, at_most: int, size: int
    ) -> Iterator[tuple[int, tuple[Instance, ...]]]:
        """The instances of each image, by its number, in any order."""
        for n, photo, found, maps in self._look(images, at_most=at_most, size=size):
            labels = [
                enlarge(label_map(maps["coarse"][k], maps["fine"][k], box, photo.frame), photo.photo_size)
                for k, box in enumerate(found.boxes)
            ]
            people = zip(_in_photo(photo, found), labels, strict=True)
            yield n, tuple(Instance(box, score, some) for (box, score), some in people)

    def _look(
        self, images: Sequence[Image.Image], *, at_most: int, size: int
    ) -> Iterator[tuple[int, Prepared, Detections, Maps]]:
        """Each image's number, detections in its frame and their maps, on the CPU; equal sizes go together."""
        photos = [prepare(image, self.config) for image in images]
        for group in _alike(photos, size):
            results = self._run([photos[n] for n in group], at_most=at_most)
            for n, (found, maps) in zip(group, results, strict=True):
                yield n, photos[n], found, maps

    @torch.inference_mode()
    def _run(self, photos: list[Prepared], *, at_most: int) -> list[tuple[Detections, Maps]]:
        network, size = self.network, photos[0].size
        if min(size) < network.backbone.smallest:  # a strip too thin for the coarsest map: there is nobody in it
            return [(Detections(torch.zeros(0, 4), torch.zeros(0)), {}) for _ in photos]
        features = network.features(batch(photos, self.config, multiple=network.backbone.multiple, device=self.device))
        found = network.detect(features, network.propose(features, size), size, min_score=self.min_score)
        found = [some.best(at_most) for some in found]
        maps = network.describe(features, [some.boxes for some in found])
        return [
            (Detections(some.boxes.cpu(), some.scores.cpu()).scaled(size, photo.frame),
             {name: values.cpu() for name, values in map_.items()})
            for some, photo, map_ in zip(found, photos, maps, strict=True)
        ]  # fmt: skip


def find_config(folder: Path, *, name: str | None = None) -> Path:
    """The config file of a folder: the one called `name` (there, or among the published ones), or the only one.

    Files that others are based on do not count.

    Raises:
        ConfigError: there is none, or there are several.
    """
    if name is not None:
        for place in (folder, SHIPPED):
            if (place / name).is_file():
                return place / name
        raise ConfigError(f"There is no config {name}, neither in {folder} nor among the published ones.")
    found = sorted(path for path in folder.glob("*") if path.suffix in (".yaml", ".yml"))
    used = set().union(*map(bases, found))
    chosen = [path for path in found if path.resolve() not in used]
    if not chosen:
        raise ConfigError(f"{folder} has no config: put a .yaml such as densepose_rcnn_R_50_FPN_s1x.yaml there.")
    if len(chosen) > 1:
        names = ", ".join(path.name for path in chosen)
        raise ConfigError(f"{folder} has several configs ({names}): name the one that belongs to the weights.")
    return chosen[0]


def _alike(photos: Sequence[Prepared], most: int) -> Iterator[list[int]]:
    """Numbers of photos of one size, at most `most` together."""
    by_size: dict[tuple[int, int], list[int]] = {}
    for n, photo in enumerate(photos):
        by_size.setdefault(photo.size, []).append(n)
    for numbers in by_size.values():
        for start in range(0, len(numbers), max(1, most)):
            yield numbers[start : start + max(1, most)]


def _in_photo(photo: Prepared, found: Detections) -> Iterator[tuple[Box, float]]:
    """Boxes in the photo's own pixels, and scores."""
    for box, score in zip(found.boxes.tolist(), found.scores.tolist(), strict=True):
        yield scale_box(box, photo.frame, photo.photo_size), score
