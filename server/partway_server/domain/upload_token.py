"""What an upload token may allow: never more than its maker may do, and nothing past its upload."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from partway_server.domain.errors import FieldViolation, InvalidRequest, PermissionDenied
from partway_server.domain.grant import Grant
from partway_server.domain.part_plan import Plan
from partway_server.domain.principal import Scope, UploadAction, UploadToken

ACTION_SCOPES: Mapping[UploadAction, Scope] = {
    UploadAction.PRESIGN: Scope.UPLOAD,
    UploadAction.REPORT: Scope.UPLOAD,
    UploadAction.UPLOAD_PART: Scope.VIA_SERVICE,
    UploadAction.COMPLETE: Scope.UPLOAD,
    UploadAction.ABORT: Scope.UPLOAD,
    UploadAction.STATUS: Scope.READ,
    UploadAction.WATCH: Scope.READ,
    UploadAction.LIST_PARTS: Scope.READ,
}
"""The scope that the maker of a token needs for each action: the one that the RPC itself needs."""

PART_ACTIONS = frozenset({UploadAction.PRESIGN, UploadAction.REPORT, UploadAction.UPLOAD_PART})
"""What a composed upload, whose parts storage copies, has no use for."""


@dataclass(frozen=True, slots=True)
class TokenParams:
    """What a caller asks of a token: no `actions` for all that it may do itself.

    Without a `lifetime` the token lasts as long as its upload. `parts` are (first, last), None for
    all. `field` is where the request asks for it, for messages.
    """

    field: str
    actions: Sequence[UploadAction] = ()
    lifetime: timedelta | None = None
    parts: tuple[int, int] | None = None

    def check_plan(self, plan: Plan) -> None:
        """Refuse what has no meaning for an upload with this plan. Raises InvalidRequest."""
        wrong = list(self._against_composed() if plan.cuts else ())
        if self.parts and self.parts[1] > plan.part_count:
            text = f"the upload has parts 1 to {plan.part_count}"
            wrong.append(FieldViolation(f"{self.field}.parts", text))
        if wrong:
            raise InvalidRequest(wrong)

    def _against_composed(self) -> list[FieldViolation]:
        text = "a composed upload has no parts to send"
        return [
            FieldViolation(f"{self.field}.actions[{i}]", text)
            for i, action in enumerate(self.actions)
            if action in PART_ACTIONS
        ]


def allowed_actions(params: TokenParams, scopes: Set[Scope]) -> frozenset[UploadAction]:
    """Return the actions of a token made with `scopes`. Raises PermissionDenied."""
    may = {
        action
        for action, scope in ACTION_SCOPES.items()
        if scope in scopes or Scope.ADMIN in scopes
    }
    for action in params.actions:
        if action not in may:
            raise PermissionDenied(ACTION_SCOPES[action])
    return frozenset(params.actions or may)


def new_token(grant: Grant, params: TokenParams, scopes: Set[Scope], now: datetime) -> UploadToken:
    """Return a token for the upload of `grant`. Raises InvalidRequest, PermissionDenied."""
    actions = allowed_actions(params, scopes)
    params.check_plan(grant.plan)
    return UploadToken(
        caller=grant.caller,
        sid=grant.sid,
        write_token=grant.write_token,
        actions=actions - PART_ACTIONS if grant.plan.cuts else actions,
        expire_time=_end(grant, params.lifetime, now),
        parts=params.parts,
    )


def _end(grant: Grant, lifetime: timedelta | None, now: datetime) -> datetime:
    if lifetime is None or lifetime >= grant.expire_time - now:
        return grant.expire_time
    end = now + lifetime
    # Tokens hold whole seconds. Rounded up, or the shortest might be over before it arrives.
    whole = end.replace(microsecond=0)
    return min(whole if whole == end else whole + timedelta(seconds=1), grant.expire_time)
