"""The end of tasks."""

import asyncio

from pybernetes.aio.ending import end


def test_tasks_have_ended_whatever_they_raise() -> None:
    async def main() -> list[str]:
        told: list[str] = []

        async def slow(name: str) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                told.append(name)
                if name == "b":
                    raise RuntimeError("as it ended")

        tasks = {asyncio.ensure_future(slow(name)) for name in "ab"}
        for task in tasks:
            task.add_done_callback(tasks.discard)
        await asyncio.sleep(0)
        await end(None, *tasks)
        assert not tasks
        await end()
        await end(None)
        return sorted(told)

    assert asyncio.run(main()) == ["a", "b"]
