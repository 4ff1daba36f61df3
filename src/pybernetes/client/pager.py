"""Lists in pages (client-go/tools/pager)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from pybernetes.api.errors import StatusError

from .types import ObjectList, Page

PAGE_SIZE = 500  # objects; client-go's

R = TypeVar("R")


async def in_pages(fetch: Callable[[Page], Awaitable[ObjectList[R]]], resource_version: str = "") -> ObjectList[R]:
    """All objects: those of one version, page by page. Where that version is forgotten meanwhile, all at once of another.

    With a resource version in one piece: servers answer "0" from their cache, and pages of other versions they do not have.
    """
    page = Page(resource_version, 0 if resource_version else PAGE_SIZE)
    pages: list[Sequence[R]] = []
    while True:
        try:
            answer = await fetch(page)
        except StatusError as error:
            if error.code != 410 or not page.continue_:
                raise
            return await fetch(Page(resource_version))
        if not pages and not answer.continue_:
            return answer
        pages.append(answer.items)
        if not answer.continue_:
            return ObjectList([item for items in pages for item in items], answer.resource_version)
        page = Page("", PAGE_SIZE, answer.continue_)
