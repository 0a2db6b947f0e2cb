"""The verbs: one use case for each RPC, put together.

Three truths decide everything here. Storage is the truth for bytes and outcomes: which parts
exist, and whether the object is ours. The upload ID is the truth for authority: it is decrypted
before anything else, and one that does not decrypt, or is another caller's, is NOT_FOUND before
storage or Redis is asked. Redis is arbiter and memory: it says who may complete or abort now.

So each use case has one shape. Decrypt the ID. Load the session record; if Redis has lost it,
rebuild it from the ID and storage. Decide by its state. If storage is to be changed, take a lease
and do the work as a detached task, since the caller may go away at any moment. A use case that
waits for such work and runs out of time answers COMPLETING, and the work goes on.

`resolver` loads and rebuilds, `leases` says who may change an upload, `discard` removes what
storage holds of one; each RPC has a module of its own.
"""

from partway_server.domain.concurrency import ConcurrencyCounts
from partway_server.domain.upload import Upload
from partway_server.workflow.abort import Abort
from partway_server.workflow.capabilities import GetCapabilities
from partway_server.workflow.complete import Complete
from partway_server.workflow.compose import Compose
from partway_server.workflow.deps import Deps
from partway_server.workflow.discard import Discard
from partway_server.workflow.extend import ExtendUpload
from partway_server.workflow.initialize import Initialize
from partway_server.workflow.leases import Leases
from partway_server.workflow.list import ListParts, ListUploads
from partway_server.workflow.presign import Presign
from partway_server.workflow.rate_limits import RateLimits
from partway_server.workflow.report import ReportParts
from partway_server.workflow.resolver import Resolver
from partway_server.workflow.status import GetStatus
from partway_server.workflow.upload_part import UploadPart
from partway_server.workflow.upload_quota import UploadQuota
from partway_server.workflow.upload_token import CreateUploadToken
from partway_server.workflow.usage import GetUsage
from partway_server.workflow.watch import Watch


class Coordinator:
    """Everything that callers can do: each attribute is called as its RPC is.

    `leases`, `discard` and `resolver` are for the janitor, which works under the same leases as
    callers do. `rates` and `concurrency` limit the calls themselves.
    """

    def __init__(self, deps: Deps) -> None:
        self._upload_ids = deps.upload_ids
        self.leases = leases = Leases(deps)
        self.discard = discard = Discard(deps, leases)
        self.resolver = resolver = Resolver(deps, leases, discard)
        self.rates = rates = RateLimits(deps)
        self.concurrency = ConcurrencyCounts(deps.limits)
        self.initialize = Initialize(deps, leases, resolver, UploadQuota(deps))
        self.presign = Presign(deps, resolver, rates)
        self.upload_part = UploadPart(deps, resolver, rates)
        self.report = ReportParts(deps, resolver)
        self.complete = Complete(deps, leases, discard, resolver)
        self.extend = ExtendUpload(deps, resolver)
        self.abort = Abort(deps, leases, discard, resolver)
        self.compose = Compose(deps, leases, discard, resolver, self.initialize, self.complete)
        self.status = GetStatus(resolver)
        self.watch = Watch(deps, resolver)
        self.list_parts = ListParts(resolver)
        self.list_uploads = ListUploads(deps)
        self.capabilities = GetCapabilities(deps)
        self.usage = GetUsage(deps, rates, self.concurrency)
        self.create_upload_token = CreateUploadToken(deps, resolver)

    def upload_id(self, upload: Upload) -> str:
        """Return the ID that callers hold."""
        return self._upload_ids.encrypt(upload.grant)
