"""Who may ask the kubelet (upstream: cmd/kubelet/app/auth.go)."""

from __future__ import annotations

from pybernetes.api.wellknown import ALL_UNAUTHENTICATED, ANONYMOUS_USER
from pybernetes.component.delegated import Ask, Guard, UserInfo
from pybernetes.wire.http import Request

ANONYMOUS = UserInfo(ANONYMOUS_USER, (ALL_UNAUTHENTICATED,))


class KubeletGuard:
    """The API server's answers, with --anonymous-auth and --authorization-mode=AlwaysAllow."""

    def __init__(self, delegated: Guard, *, anonymous: bool, allow_all: bool) -> None:
        self._delegated, self._anonymous, self._allow_all = delegated, anonymous, allow_all

    async def authenticate(self, request: Request) -> UserInfo | None:
        user = await self._delegated.authenticate(request)
        return ANONYMOUS if user is None and self._anonymous else user

    async def authorize(self, user: UserInfo, ask: Ask) -> str | None:
        return None if self._allow_all else await self._delegated.authorize(user, ask)
