"""kazoo's recipes, all at once, while the nodes of the cluster are killed: kazoo_recipes.py SECONDS HOST:PORT,...

Each recipe has its own clients, which begin at different nodes. What it promises is checked while it runs or at the end; a
session with a 20 s time-out that is lost is a failure too. Prints one line a recipe and ends with exit code 1 if one failed.
"""
import logging
import random
import sys
import threading
import time
import traceback
import uuid

if "--help" in sys.argv:
    sys.exit(print(__doc__))

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import ConnectionLoss, NodeExistsError, NoNodeError, BadVersionError
from kazoo.recipe.cache import TreeCache
from kazoo.retry import KazooRetry

logging.basicConfig(level=logging.CRITICAL)
seconds = float(sys.argv[1])
hosts = sys.argv[2].split(",")
base = "/recipes-" + uuid.uuid4().hex[:8]
until = time.time() + seconds
lost = []
clients = []
failures = []
report = {}
guard = threading.Lock()


def client():
    retry = dict(max_tries=-1, delay=0.05, max_delay=0.5)
    one = KazooClient(hosts=",".join(random.sample(hosts, len(hosts))), timeout=20.0, randomize_hosts=False,
                      connection_retry=KazooRetry(**retry), command_retry=KazooRetry(**retry))
    one.add_listener(lambda state: lost.append(time.time()) if state == KazooState.LOST and one.serving else None)
    one.serving = True
    one.start(timeout=30)
    with guard:
        clients.append(one)
    return one


def running():
    return time.time() < until


def once(zk, call, fine):
    """Again after a lost connection, when `fine` says that it had happened."""
    try:
        return zk.retry(call)
    except fine:
        return None


def lock():
    """Nobody else holds it, and what is written under it is not lost."""
    path, holders, count = base + "/lock", [], [0]
    client().create(path + "-data", b"0", makepath=True)

    def work(zk, name):
        while running():
            with zk.Lock(path, name):
                holders.append(name)
                assert holders == [name], holders
                value = int(zk.retry(zk.get, path + "-data")[0])
                assert value == count[0], (value, count)
                zk.retry(zk.set, path + "-data", str(value + 1).encode())
                count[0] += 1
                holders.remove(name)
    together(work, 4)
    return "%d times held" % count[0]


def read_write_lock():
    path, readers, writers, count = base + "/rw", [], [], [0]

    def work(zk, name):
        while running():
            if random.random() < 0.7:
                with zk.ReadLock(path, name):
                    readers.append(name)
                    assert not writers
                    time.sleep(0.005)
                    readers.remove(name)
            else:
                with zk.WriteLock(path, name):
                    writers.append(name)
                    assert writers == [name] and not readers, (writers, readers)
                    writers.remove(name)
            count[0] += 1
    together(work, 4)
    return "%d times held" % count[0]


def semaphore():
    path, holders, most = base + "/semaphore", [], [0]

    def work(zk, name):
        while running():
            with zk.Semaphore(path, name, max_leases=2):
                holders.append(name)
                most[0] = max(most[0], len(holders))
                assert len(holders) <= 2, holders
                time.sleep(0.1)
                holders.remove(name)
    together(work, 4)
    assert most[0] == 2
    return "at most %d of 4 held it" % most[0]


def election():
    path, leaders, terms = base + "/election", [], [0]

    def work(zk, name):
        def lead():
            leaders.append(name)
            assert leaders == [name], leaders
            terms[0] += 1
            time.sleep(0.02)
            leaders.remove(name)
        while running():
            zk.Election(path, name).run(lead)
    together(work, 3)
    return "%d terms" % terms[0]


def counter():
    """A change whose answer was lost is made again: never fewer than were acknowledged."""
    path, acknowledged = base + "/counter", [0]

    def work(zk, name):
        mine = zk.Counter(path)
        while running():
            try:
                mine += 1
                with guard:
                    acknowledged[0] += 1
            except BadVersionError:
                pass
    together(work, 3)
    value = client().Counter(path).value
    assert value >= acknowledged[0], (value, acknowledged)
    return "%d acknowledged, %d counted" % (acknowledged[0], value)


def queue():
    """LockingQueue: what was put is consumed, at least once."""
    path, put, taken = base + "/queue", set(), set()

    def work(zk, name):
        mine = zk.LockingQueue(path)
        if name.endswith(("0", "1")):
            number = 0
            while running():
                item = "%s-%d" % (name, number)
                zk.retry(mine.put, item.encode())
                put.add(item)
                number += 1
                time.sleep(0.01)
        else:
            # Whatever is left, until nothing comes for a while.
            while True:
                item = None
                try:
                    item = mine.get(timeout=3)
                    if item is None and not running():
                        return
                    if item is not None:
                        # If the answer is lost it is gone, or comes again.
                        taken.add(item.decode())
                        mine.consume()
                except ConnectionLoss:
                    # It may hold something without knowing: only the end of its session frees that.
                    zk.serving = False
                    zk.restart()
                    zk.serving = True
                    mine = zk.LockingQueue(path)
    together(work, 4)
    assert put <= taken, sorted(put - taken)[:5]
    return "%d put and taken" % len(put)


def barrier():
    path, rounds = base + "/barrier", [0]
    zk, other = client(), client()
    while running():
        one = zk.Barrier(path)
        zk.retry(one.create)
        passed = threading.Event()

        def wait():
            # Its server may be behind; and kazoo drops its watches with their connection, so it asks again.
            other.retry(other.sync, path)
            while not other.retry(other.Barrier(path).wait, 1):
                pass
            passed.set()
        waiting = threading.Thread(target=wait, daemon=True)
        waiting.start()
        time.sleep(0.05)
        assert not passed.is_set()
        zk.retry(one.remove)
        assert passed.wait(20), "nobody passed"
        waiting.join()
        rounds[0] += 1
    return "%d rounds" % rounds[0]


def double_barrier():
    path, rounds, inside = base + "/double", [0], []

    def work(zk, name):
        for number in range(6):
            one = zk.DoubleBarrier("%s-%d" % (path, number), 3, name)
            one.enter()
            inside.append(number)
            one.leave()
            assert inside.count(number) == 3, (number, inside)
            rounds[0] += 1
    together(work, 3)
    return "%d entered and left" % rounds[0]


def party():
    path = base + "/party"
    members = [client().Party(path, "m%d" % number) for number in range(3)]
    for member in members:
        member.join()
    while running():
        assert len(members[0]) == 3 and sorted(members[1]) == ["m0", "m1", "m2"], sorted(members[1])
        time.sleep(0.1)
    members[2].leave()
    deadline = time.time() + 10
    while len(members[0]) != 2:
        assert time.time() < deadline
        time.sleep(0.05)
    return "3 members all the time"


def caches():
    """TreeCache, ChildrenWatch and DataWatch show in the end what there is."""
    path = base + "/cached"
    zk = client()
    zk.ensure_path(path)
    watcher = client()
    cache = TreeCache(client(), path)
    cache.start()
    seen = {}

    @watcher.ChildrenWatch(path)
    def children(names):
        seen["children"] = sorted(names)

    @watcher.DataWatch(path)
    def data(value, stat):
        seen["data"] = value
    number = 0
    while running():
        name = "%s/n%d" % (path, random.randrange(20))
        draw = random.random()
        if draw < 0.4:
            once(zk, lambda: zk.create(name, str(number).encode()), NodeExistsError)
        elif draw < 0.6:
            once(zk, lambda: zk.delete(name), NoNodeError)
        elif draw < 0.8:
            once(zk, lambda: zk.set(name, str(number).encode()), NoNodeError)
        else:
            zk.retry(zk.set, path, str(number).encode())
        number += 1
        time.sleep(0.005)
    names = sorted(zk.retry(zk.get_children, path))
    value = zk.retry(zk.get, path)[0]

    def current():
        found = cache.get_children(path) or set()
        same = all(cache.get_data("%s/%s" % (path, one)) is not None
                   and cache.get_data("%s/%s" % (path, one)).data == zk.retry(zk.get, "%s/%s" % (path, one))[0]
                   for one in names)
        return sorted(found) == names and same and seen["children"] == names and seen["data"] == value
    deadline = time.time() + 15
    while not current():
        assert time.time() < deadline, (names, sorted(cache.get_children(path) or set()), seen, value)
        time.sleep(0.1)
    cache.close()
    return "%d changes" % number


def partitioner():
    """SetPartitioner: in the end everything is someone's, and nobody else's."""
    path, parts, done = base + "/partition", set(range(12)), {}

    def work(zk, name):
        mine = zk.SetPartitioner(path=path, set=parts, identifier=name, time_boundary=0.5)
        while running() or not mine.acquired:
            if mine.failed:
                raise AssertionError("failed")
            if mine.release:
                mine.release_set()
            elif mine.allocating:
                mine.wait_for_acquire(1)
            else:
                time.sleep(0.05)
        done[name] = set(mine)
        waiting = time.time() + 3
        while time.time() < waiting and len(done) < 3:
            time.sleep(0.05)
    together(work, 3)
    everything = [part for own in done.values() for part in own]
    assert sorted(everything) == sorted(parts), done
    return "12 parts among 3"


def together(work, count):
    problems = []

    def run(number):
        try:
            work(client(), "w%d" % number)
        except BaseException as error:
            problems.append(error)
            traceback.print_exc()
    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    if problems:
        raise problems[0]


def play(recipe):
    try:
        report[recipe.__name__] = recipe()
    except BaseException as error:
        failures.append(recipe.__name__)
        report[recipe.__name__] = "FAILED: %r" % (error,)
        traceback.print_exc()


recipes = [lock, read_write_lock, semaphore, election, counter, queue, barrier, party, caches, partitioner]
wanted = sys.argv[3:]
recipes = [one for one in recipes if not wanted or one.__name__ in wanted]
starter = client()
starter.ensure_path(base)
# It waits for ever for a watch that kazoo drops with its connection, so nothing is killed meanwhile.
play(double_barrier)
print("  kazoo double_barrier: %s" % report["double_barrier"])
print("now nodes may be killed", flush=True)
until = time.time() + seconds
players = [threading.Thread(target=play, args=(one,), daemon=True) for one in recipes]
for one in players:
    one.start()
for one in players:
    one.join(max(0, until - time.time()) + 60)
for recipe in recipes:
    result = report.get(recipe.__name__)
    if result is None:
        failures.append(recipe.__name__)
    print("  kazoo %s: %s" % (recipe.__name__, result or "FAILED: does not end"), flush=True)
if lost:
    failures.append("sessions lost: %d" % len(lost))
print("kazoo recipes: %d clients, %d sessions lost" % (len(clients), len(lost)), flush=True)
for one in clients:
    one.serving = False
if failures:
    import os
    print("failed: %s" % failures, flush=True)
    os._exit(1)
starter.delete(base, recursive=True)
for one in clients:
    one.stop()
