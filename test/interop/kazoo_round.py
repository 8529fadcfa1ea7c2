"""A round of what the ZooKeeper door offers, with kazoo, against one node: kazoo_round.py HOST:PORT"""
import sys
import threading
import uuid

if "--help" in sys.argv:
    sys.exit(print(__doc__))

from kazoo.client import KazooClient
from kazoo.exceptions import (BadVersionError, NoAuthError, NodeExistsError, NoNodeError,
                              NotEmptyError, NoChildrenForEphemeralsError, RolledBackError)
from kazoo.security import make_digest_acl

hosts = sys.argv[1]
base = "/kazoo-" + uuid.uuid4().hex[:8]
done = 0


def step(name):
    global done
    done += 1
    print("  kazoo", name, flush=True)


def raises(kind, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except kind:
        return
    raise AssertionError("expected %s" % kind.__name__)


zk = KazooClient(hosts=hosts, timeout=10.0)
zk.start(timeout=15)

step("create, get, set with versions")
assert zk.create(base, b"one") == base
data, stat = zk.get(base)
assert data == b"one" and stat.version == 0 and stat.dataLength == 3 and stat.czxid == stat.mzxid
stat = zk.set(base, b"two", version=0)
assert stat.version == 1 and stat.mzxid > stat.czxid
raises(BadVersionError, zk.set, base, b"three", version=0)
raises(NodeExistsError, zk.create, base, b"")
raises(NoNodeError, zk.get, base + "/none")
raises(NoNodeError, zk.create, base + "/none/child", b"")

step("create with stat (create2)")
path, stat = zk.create(base + "/two", b"12345", include_data=True)
assert path == base + "/two" and stat.dataLength == 5 and stat.pzxid == stat.czxid

step("sequential, ephemeral")
names = [zk.create(base + "/s-", b"", sequence=True) for _ in range(3)]
assert [int(name[-10:]) for name in names] == [1, 2, 3], names
raises(NoChildrenForEphemeralsError, lambda: (zk.create(base + "/e", b"", ephemeral=True),
                                              zk.create(base + "/e/child", b"")))
assert zk.exists(base + "/e").ephemeralOwner == zk.client_id[0]

step("children and their stat")
children, stat = zk.get_children(base, include_data=True)
assert sorted(children) == ["e"] + [name.rsplit("/", 1)[1] for name in names] + ["two"]
assert stat.numChildren == 5 and stat.cversion == 5
assert sorted(zk.get_children(base)) == sorted(children)

step("empty and missing data")
zk.create(base + "/empty", b"")
assert zk.get(base + "/empty")[0] == b""

step("delete")
raises(NotEmptyError, zk.delete, base)
zk.delete(base + "/two")
assert zk.exists(base + "/two") is None

step("one-shot watches: data, exists, children; before the reply")
events = []
fired = threading.Event()


def seen(event):
    events.append((event.type, event.path))
    fired.set()


for register, change, expected in [
    (lambda: zk.get(base + "/empty", watch=seen), lambda: zk.set(base + "/empty", b"x"), ("CHANGED", base + "/empty")),
    (lambda: zk.exists(base + "/new", watch=seen), lambda: zk.create(base + "/new", b""), ("CREATED", base + "/new")),
    (lambda: zk.get_children(base, watch=seen), lambda: zk.create(base + "/new2", b""), ("CHILD", base)),
    (lambda: zk.get(base + "/new", watch=seen), lambda: zk.delete(base + "/new"), ("DELETED", base + "/new")),
]:
    events.clear()
    fired.clear()
    register()
    change()
    assert fired.wait(5), expected
    assert events == [expected], (events, expected)

step("multi: all or nothing")
transaction = zk.transaction()
transaction.create(base + "/m", b"")
transaction.create(base + "/m/child", b"c")
transaction.set_data(base + "/m", b"set")
transaction.check(base + "/m", 1)
transaction.delete(base + "/new2")
results = transaction.commit()
assert results[0] == base + "/m" and results[1] == base + "/m/child" and results[2].version == 1, results
transaction = zk.transaction()
transaction.create(base + "/rolled", b"")
transaction.check(base + "/m", 77)
results = transaction.commit()
assert isinstance(results[0], RolledBackError) and isinstance(results[1], BadVersionError), results
assert zk.exists(base + "/rolled") is None

step("access control: digest")
zk.create(base + "/secret", b"hidden", acl=[make_digest_acl("user", "password", all=True)])
raises(NoAuthError, zk.get, base + "/secret")
zk.add_auth("digest", "user:password")
assert zk.get(base + "/secret")[0] == b"hidden"
acls, stat = zk.get_acls(base + "/secret")
assert acls[0].id.scheme == "digest" and acls[0].id.id.startswith("user:")
stat = zk.set_acls(base + "/secret", [make_digest_acl("user", "password", read=True, delete=True, admin=True)])
assert stat.aversion == 1
raises(NoAuthError, zk.set, base + "/secret", b"x")

step("sync, pipelined requests in order")
assert zk.sync(base) == base
futures = [zk.set_async(base + "/empty", str(i).encode()) for i in range(200)] + [zk.get_async(base + "/empty")]
values = [future.get(timeout=10) for future in futures]
assert [stat.version for stat in values[:200]] == list(range(values[0].version, values[0].version + 200))
assert values[200][0] == b"199"

step("what is there from the start")
assert set(zk.get_children("/zookeeper")) >= {"config", "quota"}

step("a large value, and the end of the ephemerals with the session")
zk.set(base + "/empty", b"v" * 1000000)
assert len(zk.get(base + "/empty")[0]) == 1000000
other = KazooClient(hosts=hosts, timeout=10.0)
other.start(timeout=15)
other.create(base + "/other", b"", ephemeral=True)
gone = threading.Event()
assert zk.exists(base + "/other", watch=lambda event: gone.set())
other.stop()
other.close()
assert gone.wait(5)
assert zk.exists(base + "/other") is None

step("four-letter words")
assert zk.command(b"ruok") == "imok"
assert "Mode: " in zk.command(b"srvr")
assert "Clients:" in zk.command(b"stat")
assert "zk_server_state\t" in zk.command(b"mntr")
assert zk.command(b"isro") == "rw"

zk.delete(base, recursive=True)
zk.stop()
zk.close()
print("kazoo round: %d steps" % done)
