import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import org.apache.curator.framework.*;
import org.apache.curator.framework.state.*;
import org.apache.curator.framework.recipes.locks.*;
import org.apache.curator.framework.recipes.leader.*;
import org.apache.curator.framework.recipes.barriers.*;
import org.apache.curator.framework.recipes.atomic.*;
import org.apache.curator.framework.recipes.shared.*;
import org.apache.curator.framework.recipes.cache.*;
import org.apache.curator.framework.recipes.queue.*;
import org.apache.curator.framework.recipes.nodes.*;
import org.apache.curator.retry.*;
import org.apache.zookeeper.*;

/**
 * Curator's recipes, all at once, while the nodes of the cluster are killed: SECONDS HOST:PORT,... [RECIPE ...]
 * Each has its own clients; what it promises is checked. Without containers, which come later.
 */
public class CuratorRecipes {
  static String hosts; static long until; static final AtomicInteger lost = new AtomicInteger();
  static final List<CuratorFramework> all = new CopyOnWriteArrayList<>();
  static volatile boolean ending = false;
  static CuratorFramework client() {
    List<String> h = new ArrayList<>(Arrays.asList(hosts.split(","))); Collections.shuffle(h);
    CuratorFramework c = CuratorFrameworkFactory.builder().connectString(String.join(",", h)).sessionTimeoutMs(20000).connectionTimeoutMs(5000)
      .retryPolicy(new RetryNTimes(100, 100)).dontUseContainerParents().build();
    c.getConnectionStateListenable().addListener((x, s) -> { if (s == ConnectionState.LOST && !ending) lost.incrementAndGet(); });
    c.start(); all.add(c); return c;
  }
  static boolean running() { return System.currentTimeMillis() < until; }
  interface Work { void run(CuratorFramework c, int n) throws Exception; }
  static void together(int count, Work w) throws Exception {
    List<Throwable> bad = new CopyOnWriteArrayList<>(); List<Thread> ts = new ArrayList<>();
    for (int i = 0; i < count; i++) { int n = i; Thread t = new Thread(() -> { try { w.run(client(), n); } catch (Throwable e) { bad.add(e); e.printStackTrace(); } }); t.start(); ts.add(t); }
    for (Thread t : ts) t.join();
    if (!bad.isEmpty()) throw new Exception(bad.get(0));
  }
  static void check(boolean ok, String what) { if (!ok) throw new IllegalStateException(what); }
  static final Map<String, Callable<String>> recipes = new LinkedHashMap<>();
  public static void main(String[] a) throws Exception {
    if (a.length < 2 || a[0].equals("--help")) { System.out.println("Curator's recipes, while the nodes of the cluster are killed: SECONDS HOST:PORT,... [RECIPE ...]"); return; }
    hosts = a[1]; String base = "/curator-" + UUID.randomUUID().toString().substring(0, 8);
    until = System.currentTimeMillis() + Long.parseLong(a[0]) * 1000;
    recipes.put("mutex", () -> {
      AtomicInteger holders = new AtomicInteger(), count = new AtomicInteger();
      CuratorFramework s = client(); s.create().creatingParentsIfNeeded().forPath(base + "/mutexdata", "0".getBytes());
      together(4, (c, n) -> { InterProcessMutex m = new InterProcessMutex(c, base + "/mutex");
        while (running()) { m.acquire(); try { check(holders.incrementAndGet() == 1, "two hold it");
          int v = Integer.parseInt(new String(c.getData().forPath(base + "/mutexdata"))); check(v == count.get(), v + " is not " + count);
          c.setData().forPath(base + "/mutexdata", ("" + (v + 1)).getBytes()); count.incrementAndGet(); holders.decrementAndGet(); } finally { m.release(); } } });
      return count + " times held"; });
    recipes.put("readwrite", () -> {
      AtomicInteger r = new AtomicInteger(), w = new AtomicInteger(), count = new AtomicInteger();
      together(4, (c, n) -> { InterProcessReadWriteLock l = new InterProcessReadWriteLock(c, base + "/rw"); Random x = new Random();
        while (running()) { count.incrementAndGet(); if (x.nextInt(3) > 0) { l.readLock().acquire(); r.incrementAndGet(); check(w.get() == 0, "writer"); r.decrementAndGet(); l.readLock().release(); }
          else { l.writeLock().acquire(); check(w.incrementAndGet() == 1 && r.get() == 0, "readers"); w.decrementAndGet(); l.writeLock().release(); } } });
      return count + " times held"; });
    recipes.put("semaphore", () -> { AtomicInteger h = new AtomicInteger(), most = new AtomicInteger(), count = new AtomicInteger();
      together(4, (c, n) -> { InterProcessSemaphoreV2 s = new InterProcessSemaphoreV2(c, base + "/sem", 2);
        while (running()) { Lease l = s.acquire(); int now = h.incrementAndGet(); check(now <= 2, "three"); most.accumulateAndGet(now, Math::max); Thread.sleep(20); h.decrementAndGet(); count.incrementAndGet(); s.returnLease(l); } });
      return count + " leases, at most " + most; });
    recipes.put("latch", () -> { AtomicInteger terms = new AtomicInteger();
      AtomicInteger leaders = new AtomicInteger();
      together(3, (c, n) -> { while (running()) { try (LeaderLatch l = new LeaderLatch(c, base + "/latch", "p" + n)) { l.start(); if (l.await(2, TimeUnit.SECONDS) && l.hasLeadership()) { terms.incrementAndGet(); Thread.sleep(10); } } } });
      return terms + " terms"; });
    recipes.put("selector", () -> { AtomicInteger terms = new AtomicInteger(), leaders = new AtomicInteger(); AtomicReference<String> bad = new AtomicReference<>();
      together(3, (c, n) -> { LeaderSelector s = new LeaderSelector(c, base + "/selector", new LeaderSelectorListenerAdapter() { public void takeLeadership(CuratorFramework x) throws Exception {
          int now = leaders.incrementAndGet(); try { if (now != 1) bad.set("two lead"); terms.incrementAndGet(); Thread.sleep(10); } finally { leaders.decrementAndGet(); } } });
        s.autoRequeue(); s.start(); while (running()) Thread.sleep(50); s.close(); });
      return terms + " terms " + (bad.get() == null ? "" : bad.get()); });
    recipes.put("atomiclong", () -> { AtomicInteger ok = new AtomicInteger();
      together(3, (c, n) -> { DistributedAtomicLong l = new DistributedAtomicLong(c, base + "/long", new RetryNTimes(50, 20));
        while (running()) { AtomicValue<Long> v = l.increment(); if (v.succeeded()) ok.incrementAndGet(); } });
      long v = new DistributedAtomicLong(client(), base + "/long", new RetryNTimes(50, 20)).get().postValue(); check(v >= ok.get(), v + " below " + ok); return ok + " acknowledged, " + v + " counted"; });
    recipes.put("barrier", () -> { int rounds = 0; CuratorFramework one = client(), two = client();
      while (running()) { DistributedBarrier b = new DistributedBarrier(one, base + "/barrier"); b.setBarrier(); CompletableFuture<Boolean> f = CompletableFuture.supplyAsync(() -> { try { return new DistributedBarrier(two, base + "/barrier").waitOnBarrier(20, TimeUnit.SECONDS); } catch (Exception e) { throw new RuntimeException(e); } });
        Thread.sleep(20); b.removeBarrier(); check(f.get(25, TimeUnit.SECONDS), "nobody passed"); rounds++; }
      return rounds + " rounds"; });
    recipes.put("doublebarrier", () -> { AtomicInteger rounds = new AtomicInteger(); AtomicIntegerArray in = new AtomicIntegerArray(10000); AtomicInteger end = new AtomicInteger(10000);
      CyclicBarrier step = new CyclicBarrier(3, () -> { if (!running()) end.set(0); });
      together(3, (c, n) -> { for (int i = 0; i < end.get(); i++) { DistributedDoubleBarrier b = new DistributedDoubleBarrier(c, base + "/double" + i, 3); check(b.enter(20, TimeUnit.SECONDS), "not entered"); in.incrementAndGet(i); check(b.leave(20, TimeUnit.SECONDS), "not left"); check(in.get(i) == 3, "left before all were in"); rounds.incrementAndGet(); step.await(); } });
      return rounds + " entered and left"; });
    recipes.put("caches", () -> { String path = base + "/cached"; CuratorFramework c = client(); c.create().creatingParentsIfNeeded().forPath(path);
      PathChildrenCache p = new PathChildrenCache(client(), path, true); p.start(); TreeCache t = new TreeCache(client(), path); t.start(); NodeCache nc = new NodeCache(client(), path); nc.start();
      Random x = new Random(); int n = 0;
      while (running()) { String node = path + "/n" + x.nextInt(20); byte[] v = ("" + n++).getBytes();
        try { switch (x.nextInt(4)) { case 0: c.create().forPath(node, v); break; case 1: c.delete().forPath(node); break; case 2: c.setData().forPath(node, v); break; default: c.setData().forPath(path, v); } }
        catch (KeeperException.NodeExistsException | KeeperException.NoNodeException e) { } Thread.sleep(5); }
      long end = System.currentTimeMillis() + 15000;
      for (;;) { Map<String, String> real = new TreeMap<>(), pc = new TreeMap<>(), tc = new TreeMap<>(); for (String s : c.getChildren().forPath(path)) real.put(s, new String(c.getData().forPath(path + "/" + s)));
        for (ChildData d : p.getCurrentData()) pc.put(d.getPath().substring(path.length() + 1), new String(d.getData()));
        Map<String, ChildData> m = t.getCurrentChildren(path); if (m != null) for (Map.Entry<String, ChildData> e : m.entrySet()) tc.put(e.getKey(), new String(e.getValue().getData()));
        String own = new String(c.getData().forPath(path));
        if (real.equals(pc) && real.equals(tc) && nc.getCurrentData() != null && own.equals(new String(nc.getCurrentData().getData()))) break;
        check(System.currentTimeMillis() < end, "real " + real + " path " + pc + " tree " + tc); Thread.sleep(100); }
      p.close(); t.close(); nc.close(); return n + " changes"; });
    recipes.put("sharedcount", () -> { CuratorFramework c = client(), d = client(); SharedCount w = new SharedCount(c, base + "/shared", 0), r = new SharedCount(d, base + "/shared", 0); w.start(); r.start(); int n = 0;
      while (running()) { w.setCount(++n); Thread.sleep(10); } int last = n; long end = System.currentTimeMillis() + 10000; while (r.getCount() != last) { check(System.currentTimeMillis() < end, "stale " + r.getCount() + " of " + last); Thread.sleep(50); } w.close(); r.close(); return n + " values"; });
    recipes.put("persistentnode", () -> { CuratorFramework c = client(), d = client(); PersistentNode p = new PersistentNode(c, CreateMode.EPHEMERAL, false, base + "/persistent", "x".getBytes()); p.start(); check(p.waitForInitialCreate(10, TimeUnit.SECONDS), "not created"); int n = 0;
      while (running()) { try { d.delete().forPath(base + "/persistent"); } catch (KeeperException.NoNodeException e) { } long end = System.currentTimeMillis() + 10000; while (d.checkExists().forPath(base + "/persistent") == null) { check(System.currentTimeMillis() < end, "not made again"); Thread.sleep(5); } n++; } p.close(); return n + " times made again"; });
    // A connection that is lost wakes its waiters, as with ZooKeeper itself: nothing is killed meanwhile.
    if (a.length == 2 || Arrays.asList(a).contains("doublebarrier")) {
      until = System.currentTimeMillis() + 3000;
      System.out.println("  curator doublebarrier: " + recipes.get("doublebarrier").call());
    }
    recipes.remove("doublebarrier");
    until = System.currentTimeMillis() + Long.parseLong(a[0]) * 1000;
    ExecutorService pool = Executors.newCachedThreadPool(); Map<String, Future<String>> results = new LinkedHashMap<>(); boolean failed = false;
    Set<String> wanted = new HashSet<>(Arrays.asList(a).subList(2, a.length));
    for (Map.Entry<String, Callable<String>> e : recipes.entrySet()) if (wanted.isEmpty() || wanted.contains(e.getKey())) results.put(e.getKey(), pool.submit(e.getValue()));
    System.out.println("now nodes may be killed");
    for (Map.Entry<String, Future<String>> e : results.entrySet()) { String r; try { r = e.getValue().get(Math.max(0, until - System.currentTimeMillis()) + 40000, TimeUnit.MILLISECONDS); if (r.contains("two lead")) failed = true; } catch (TimeoutException x) { r = "FAILED: does not end"; failed = true; } catch (Exception x) { r = "FAILED: " + x.getCause(); failed = true; } System.out.println("  curator " + e.getKey() + ": " + r); }
    System.out.println("curator recipes: " + all.size() + " clients, " + lost + " sessions lost");
    ending = true; for (CuratorFramework c : all) c.close();
    System.exit(failed || lost.get() > 0 ? 1 : 0);
  }
}
