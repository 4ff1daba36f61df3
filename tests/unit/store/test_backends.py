"""Which URL means which backend."""

import asyncio
from pathlib import Path

import pytest

from pybernetes.store.backends import BACKENDS, Location, LocationError, open_store


@pytest.mark.parametrize(
    ("urls", "message"),
    [
        ((), "want sqlite:PATH or memory:"),
        (("",), "want sqlite:PATH or memory:"),
        (("sqlite",), "want sqlite:PATH or memory:"),
        (("mysql://host/db",), "want sqlite:PATH or memory:"),
        (("memory:", "sqlite:/a"), "want sqlite:PATH or memory:"),
        (("memory:x",), "want memory: alone"),
        (("sqlite:",), "want sqlite:PATH or sqlite:///PATH"),
        (("sqlite://host/db",), "want sqlite:PATH or sqlite:///PATH"),
        (("sqlite:/a", "sqlite:/b"), "want sqlite:PATH or sqlite:///PATH"),
    ],
)
def test_what_is_no_place_is_refused_with_what_is_wanted(urls: tuple[str, ...], message: str) -> None:
    with pytest.raises(LocationError, match=message):
        asyncio.run(open_store(Location(urls)))


@pytest.mark.parametrize("form", ["sqlite:{}/data/state.db", "sqlite://{}/data/state.db"])
def test_both_forms_of_a_path_mean_the_file_in_a_directory_of_its_owner(tmp_path: Path, form: str) -> None:
    async def scenario() -> None:
        store = await open_store(Location((form.format(tmp_path),)))
        await store.close()

    asyncio.run(scenario())
    assert (tmp_path / "data" / "state.db").exists()
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_every_backend_can_be_loaded_and_schemes_are_told_once() -> None:
    schemes = [scheme for backend in BACKENDS for scheme in backend.schemes]
    assert len(schemes) == len(set(schemes))
    assert all(callable(backend.load()) for backend in BACKENDS)
