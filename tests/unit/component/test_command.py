import asyncio
import os
import signal

import pytest

from pybernetes.component import command, flags
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.flags import Flag, Values

FLAGS = (Flag("name", flags.string, "", "A name."),)


@pytest.mark.parametrize(
    ("arguments", "error", "code", "words"),
    [
        ([], None, 0, ""),
        (["--help"], None, 0, ""),
        (["--nme=x"], None, 2, "part: unknown flag: --nme"),
        ([], UsageError("give --name"), 2, "part: give --name"),
        ([], Failure("it is in use"), 1, "part: it is in use"),
        ([], PermissionError(13, "Permission denied", "/x"), 1, "part: /x: Permission denied"),
        ([], KeyboardInterrupt(), 130, "part: interrupted"),
    ],
)
def test_exit_codes(
    capsys: pytest.CaptureFixture[str], arguments: list[str], error: BaseException | None, code: int, words: str
) -> None:
    def work(values: Values) -> None:
        if error is not None:
            raise error

    assert command.once("part", FLAGS, work, arguments) == code
    assert words in capsys.readouterr().err


def test_sigterm_ends_the_work_and_is_no_error() -> None:
    async def main() -> str:
        cleaned = []

        async def work() -> None:
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.Event().wait()
            finally:
                cleaned.append("yes")

        await command.until_signalled(work())
        return cleaned[0]

    assert asyncio.run(main()) == "yes"


def test_failures_of_a_task_group_are_lines_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    async def run(values: Values) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(failing("the port is in use"))

    async def failing(text: str) -> None:
        raise Failure(text)

    assert command.main("part", FLAGS, run, []) == 1
    assert capsys.readouterr().err == "part: the port is in use\n"


def test_other_errors_of_a_task_group_are_not_hidden() -> None:
    async def run(values: Values) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(failing())

    async def failing() -> None:
        raise KeyError("a mistake")

    with pytest.raises(ExceptionGroup):
        command.main("part", FLAGS, run, [])
