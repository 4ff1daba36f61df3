"""Authentication by static tokens (upstream: apiserver/pkg/authentication/token/tokenfile)."""

from __future__ import annotations

import csv
import hmac
from pathlib import Path

from pybernetes.api.wellknown import ALL_AUTHENTICATED

from .user import User


class TokenFileError(ValueError):
    """A file that cannot be used; the text names the line."""


def read(path: Path) -> dict[str, User]:
    """Users by token, of a CSV file: token,user,uid[,"group1,group2"]."""
    users: dict[str, User] = {}
    try:
        with path.open(newline="") as file:
            for number, record in enumerate(csv.reader(file), 1):
                if not record:
                    continue
                if len(record) < 3 or not record[0] or not record[1]:
                    raise TokenFileError(f'{path} line {number}: want token,user,uid[,"groups"]')
                groups = tuple(g.strip() for g in record[3].split(",") if g.strip()) if len(record) > 3 else ()
                users[record[0]] = User(record[1], (*groups, ALL_AUTHENTICATED), record[2])
    except OSError as error:
        raise TokenFileError(f"token file {str(path)!r} cannot be read: {error.strerror}") from error
    return users


class TokenFile:
    """Users by token; see `bearer.TokenAuthenticator`."""

    def __init__(self, users: dict[str, User]) -> None:
        self._users = users

    async def token(self, token: str, audiences: tuple[str, ...]) -> User | None:
        """None for a token that is not of the file; static tokens are for this server alone."""
        given = token.encode()
        match = None
        for listed, user in self._users.items():
            if hmac.compare_digest(listed.encode(), given):  # how far a guess was right shows in no time
                match = user
        return match
