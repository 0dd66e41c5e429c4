"""Gradio's parts with other habits: nothing a stranger sends is fetched, decoded or kept before our own checks."""

from __future__ import annotations

from abc import ABCMeta
from contextlib import suppress
from typing import Any

import gradio as gr
from gradio.component_meta import ComponentMeta
from gradio.data_classes import ImageData, ListFiles
from gradio_client.utils import is_file_obj, is_http_url_like, traverse

from catvton.errors import InputError
from catvton.web.tempfolder import TempFolder
from catvton.web.texts import Texts


class StudioBlocks(gr.Blocks):
    """A Blocks that takes uploaded files only, and counts them.

    Gradio would fetch a link in an input from wherever it points, without a limit, before any handler is asked.
    """

    def __init__(self, *, folder: TempFolder, texts: Texts, **options: Any) -> None:
        super().__init__(**options)
        self._folder, self._no_links = folder, texts["api.no_links"]
        self.upload_file_set = folder.uploads
        self.temp_file_sets = [self.upload_file_set]

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *args: Any, **options: Any) -> list[Any]:
        files: list[dict[str, Any]] = []
        traverse(inputs, lambda file: files.append(file) or file, is_file_obj)
        try:
            if any(map(_is_link, files)):
                raise gr.Error(self._no_links, print_exception=False)
            return await super().preprocess_data(block_fn, inputs, *args, **options)
        except Exception:
            self._remove(files)
            raise

    def _remove(self, files: list[dict[str, Any]]) -> None:
        """Uploads of a request that no handler will see."""
        for file in files:
            with suppress(InputError):
                self._folder.take(str(file.get("path")))


def _is_link(file: dict[str, Any]) -> bool:
    place = file.get("path") or file.get("url")
    return isinstance(place, str) and (is_http_url_like(place) or place.startswith("data:"))


class QuietMeta(ComponentMeta):
    """Makes component classes without gradio's habit of writing a stub file beside their source on import."""

    def __new__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> type:
        return ABCMeta.__new__(cls, name, bases, attributes)


class PictureUpload(gr.Image, metaclass=QuietMeta):
    """An Image whose handler gets the upload's path, whatever the file is; gr.Image would open it with Pillow first."""

    is_template = True

    def preprocess(self, payload: ImageData | None) -> str | None:
        return None if payload is None else payload.path


class GarmentUploads(gr.UploadButton, metaclass=QuietMeta):
    """A button for several pictures, whose handler gets their paths; gr.UploadButton would leave an empty file each."""

    is_template = True

    def preprocess(self, payload: ListFiles | None) -> list[str]:
        return [] if payload is None else [file.path for file in payload.root]


class OpenSlider(gr.Slider, metaclass=QuietMeta):
    """A Slider that hands on whatever was typed into its box: what an option accepts is said in one place, not here."""

    is_template = True

    def preprocess(self, payload: float) -> float:
        return payload
