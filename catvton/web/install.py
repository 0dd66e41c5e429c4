"""What lets a phone or a desktop keep the page as an app: the manifest and the icons it names.

There is no service worker: without its server the page can do nothing, and nothing of it should stay behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import FileResponse, JSONResponse
from starlette.routing import BaseRoute, Route

from catvton.web.texts import LANGUAGES, WEB, Texts, every_language, preferred

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

ICONS = {"icon-192.png": ("192x192", "any"), "icon-512.png": ("512x512", "any"),
         "icon-maskable-512.png": ("512x512", "maskable")}  # {file: (size, purpose)}
COLOUR = "#724a98"


def install_routes() -> list[BaseRoute]:
    """The manifest and the icons. They must come before gradio's own routes, whose manifest knows less."""
    icons = [Route(f"/{name}", _icon(name)) for name in ICONS]
    return [Route("/manifest.json", _manifest), *icons]


def manifest(texts: Texts) -> dict[str, object]:
    """The manifest in a language; its addresses are relative to itself."""
    return {
        "name": texts["page.title"],
        "short_name": texts["page.title"],
        "description": texts["page.tagline"],
        "lang": texts.language,
        "start_url": "./",
        "scope": "./",
        "display": "standalone",
        "theme_color": COLOUR,
        "background_color": "#f4f2f0",
        "icons": [{"src": name, "sizes": size, "type": "image/png", "purpose": purpose}
                  for name, (size, purpose) in ICONS.items()],
    }  # fmt: skip


async def _manifest(request: Request) -> JSONResponse:
    wanted = (tag.partition(";")[0] for tag in request.headers.get("accept-language", "").split(","))
    texts = every_language()[preferred([*wanted, *LANGUAGES])]
    return JSONResponse(manifest(texts), media_type="application/manifest+json", headers={"Vary": "Accept-Language"})


def _icon(name: str) -> Callable[[Request], Awaitable[FileResponse]]:
    async def icon(_: Request) -> FileResponse:
        return FileResponse(WEB / name, headers={"Cache-Control": "public, max-age=86400"})

    return icon
