import asyncio, time
from tests.e2e.test_survival import *
from tests.e2e.conftest import *
@pytest.mark.timeout(200)
async def test_p(rig, tmp_path):
    n=12
    files=[File.write(tmp_path/f"f{i}", 6*MIB) for i in range(n)]
    await rig.valve.allow(1)
    cs=[await rig.partway.start("upload",f.path,"--part-size","5MiB","--concurrency","1","--json") for f in files]
    await until(lambda: rig.valve.blocked==n, 60)
    rig.service.kill()
    await rig.valve.open()
    t=time.monotonic()
    async def one(c):
        r=await ended(c); return round(time.monotonic()-t,1), r.code, r.messages[-200:], r.printed
    rs=await asyncio.gather(*(one(c) for c in cs))
    for r in sorted(rs): print(r[:3])
    print(rs[0][3])
