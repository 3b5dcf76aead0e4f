package io.memcg4j.jmx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.memcg4j.memcg.Charge;
import io.memcg4j.memcg.MemCgroup;
import io.memcg4j.memcg.MemoryClass;
import io.memcg4j.objcg.ObjCgroup;
import io.memcg4j.objcg.Scope;
import io.memcg4j.slab.Kmalloc;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.Set;
import java.util.TreeSet;
import javax.management.InstanceNotFoundException;
import javax.management.JMX;
import javax.management.MBeanServer;
import javax.management.MBeanServerConnection;
import javax.management.MBeanServerFactory;
import javax.management.ObjectName;
import javax.management.RuntimeMBeanException;
import javax.management.openmbean.CompositeData;
import javax.management.remote.JMXConnector;
import javax.management.remote.JMXConnectorFactory;
import javax.management.remote.JMXConnectorServer;
import javax.management.remote.JMXConnectorServerFactory;
import javax.management.remote.JMXServiceURL;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Beans in a real server, called as a monitor would: by name and by proxy. */
final class MemcgJmxTest {
  private static final long MIB = 1L << 20;

  private final MBeanServer server = MBeanServerFactory.newMBeanServer();
  private final MemCgroup root = MemCgroup.root();
  private final Kmalloc kmalloc = Kmalloc.create(root);

  @AfterEach
  void close() {
    kmalloc.close();
  }

  private MemcgJmx.Builder beans() {
    return MemcgJmx.builder(kmalloc, root).server(server).refreshEvery(Duration.ZERO);
  }

  private MemCgroupMXBean group(MemcgJmx jmx, String path) {
    return JMX.newMXBeanProxy(server, jmx.groupName(path), MemCgroupMXBean.class);
  }

  private Set<String> registered() {
    Set<String> names = new TreeSet<>();
    server
        .queryNames(null, null)
        .forEach(name -> {
          if (name.getDomain().equals("memcg4j")) {
            names.add(name.getCanonicalKeyPropertyListString());
          }
        });
    return names;
  }

  @Test
  void group_byProxy_figuresAndLimits() {
    MemCgroup acme = root.create("acme");
    try (MemcgJmx jmx = beans().register();
        Charge charge = acme.charge("x", MemoryClass.HEAP)) {
      charge.set(3 * MIB);
      MemCgroupMXBean bean = group(jmx, "/acme");
      assertEquals("/acme", bean.getPath());
      assertEquals(3 * MIB, bean.getUsage());
      assertEquals(Long.MAX_VALUE, bean.getMax());
      bean.setMax(4 * MIB);
      assertEquals(4 * MIB, acme.max());
      assertFalse(charge.trySet(5 * MIB));
      assertEquals(1, bean.getEvents().max(), "a record over JMX");
      bean.setHigh(2 * MIB);
      bean.setMin(MIB);
      bean.setLow(MIB);
      assertEquals(2 * MIB, acme.high());
      assertEquals(MIB, acme.min());
      assertEquals(MIB, acme.low());
      assertEquals(0.0, bean.getPressure().full().avg10());
      acme.flush();
      assertEquals(3 * MIB, bean.getStat().heap());
      assertTrue(bean.isOnline());
      assertEquals(3 * MIB, bean.getPeak());
      assertEquals(0, bean.getWaiting());
      assertEquals(0, bean.reclaim(MIB), "no shrinker");
    }
  }

  @Test
  void group_files_asCgroupPrintsAndTakesThem() {
    MemCgroup acme = root.create("acme");
    root.create("other");
    try (MemcgJmx jmx = beans().register()) {
      MemCgroupMXBean bean = group(jmx, "/acme");
      bean.write("memory.max", "64M");
      assertEquals(64 * MIB, acme.max());
      assertEquals(Long.toString(64 * MIB), bean.read("memory.max").strip());
      bean.write("memory.max", "max");
      assertEquals(MemCgroup.UNLIMITED, acme.max());
      assertThrows(IllegalArgumentException.class, () -> bean.write("memory.max", "-1"));
      assertThrows(IllegalArgumentException.class, () -> bean.read("../other/memory.max"));
      assertThrows(IllegalArgumentException.class, () -> bean.read("no.such"));
    }
  }

  @Test
  void attributes_withoutOurClasses_areOpenTypes() throws Exception {
    root.create("acme");
    try (MemcgJmx jmx = beans().register()) {
      ObjectName name = new ObjectName("memcg4j:type=MemCgroup,path=\"/acme\"");
      assertEquals(jmx.groupName("/acme"), name);
      CompositeData events =
          assertInstanceOf(CompositeData.class, server.getAttribute(name, "Events"));
      assertEquals(0L, events.get("oomKill"));
      CompositeData pressure =
          assertInstanceOf(CompositeData.class, server.getAttribute(name, "Pressure"));
      assertEquals(0.0, ((CompositeData) pressure.get("some")).get("avg10"));
    }
  }

  @Test
  void allocator_byProxy_figuresAndOperations() {
    ObjCgroup acme = ObjCgroup.of(root.create("acme"));
    try (MemcgJmx jmx = beans().register()) {
      KmallocMXBean bean = JMX.newMXBeanProxy(server, jmx.allocatorName(), KmallocMXBean.class);
      long small;
      long area;
      try (Scope _ = acme.enter()) {
        small = kmalloc.allocate(64);
        area = kmalloc.vmalloc().allocate(MIB);
      }
      assertEquals(1, bean.getSlabs().nrObjects());
      assertEquals(1, bean.getAreas().nrAreas());
      assertTrue(bean.slabinfo().contains("kmalloc-64"), bean::slabinfo);
      assertFalse(bean.vmallocinfo().isEmpty());
      kmalloc.free(small);
      kmalloc.vmalloc().free(area);
      bean.shrink();
      assertEquals(0, bean.getSlabs().nrObjects());
      assertEquals(2, bean.getGroups());
      assertEquals(MemcgJmx.DEFAULT_MAX_GROUPS, bean.getMaxGroups());
    }
  }

  @Test
  void refresh_groupsComeAndGo_beansToo() {
    try (MemcgJmx jmx = beans().register()) {
      MemCgroup acme = root.create("acme");
      acme.create("web");
      assertEquals(Set.of("type=Kmalloc", "path=\"/\",type=MemCgroup"), registered());
      jmx.refresh();
      assertEquals(4, registered().size());
      MemCgroupMXBean web = group(jmx, "/acme/web");
      MemCgroup first = acme.find("web");
      first.remove();
      assertFalse(web.isOnline(), "until the next refresh");
      assertThrows(IllegalStateException.class, () -> web.setMax(MIB));
      acme.create("web").setMax(7 * MIB);
      jmx.refresh();
      assertEquals(7 * MIB, web.getMax(), "the new group under the old name");
      acme.find("web").remove();
      acme.remove();
      jmx.refresh();
      assertEquals(Set.of("type=Kmalloc", "path=\"/\",type=MemCgroup"), registered());
    }
    assertEquals(Set.of(), registered());
  }

  @Test
  void refreshing_byItself_findsNewGroups() throws InterruptedException {
    try (MemcgJmx jmx = beans().refreshEvery(Duration.ofMillis(5)).register()) {
      root.create("acme");
      while (!server.isRegistered(jmx.groupName("/acme"))) {
        Thread.sleep(1);
      }
      root.find("acme").remove();
      while (server.isRegistered(jmx.groupName("/acme"))) {
        Thread.sleep(1);
      }
    }
  }

  @Test
  void groups_moreThanTheCap_theLargestWithTheirParents() {
    for (int i = 0; i < 100; i++) {
      root.create("t" + i);
    }
    MemCgroup large = root.find("t42").create("query");
    try (Charge charge = large.charge("x", MemoryClass.HEAP);
        MemcgJmx jmx = beans().maxGroups(3).register()) {
      assertEquals(4, registered().size(), "with the allocator");
      charge.set(MIB);
      jmx.refresh();
      assertEquals(
          Set.of(
              "type=Kmalloc",
              "path=\"/\",type=MemCgroup",
              "path=\"/t42\",type=MemCgroup",
              "path=\"/t42/query\",type=MemCgroup"),
          registered());
    }
  }

  @Test
  void names_hostile_areQuoted() throws Exception {
    for (String hostile :
        new String[] {
          "a,type=Kmalloc", "a\"b", "*?", "a=b:c", "a\\", "<b>", "\u202ea", "\ud83d\ude00"
        }) {
      MemCgroup group = root.create(hostile);
      try (MemcgJmx jmx = beans().instance("x,\"*\n").register()) {
        ObjectName name = jmx.groupName("/" + hostile);
        assertFalse(name.isPattern());
        assertEquals("/" + hostile, ObjectName.unquote(name.getKeyProperty("path")));
        assertEquals("/" + hostile, server.getAttribute(name, "Path"));
      }
      group.remove();
    }
  }

  @Test
  void instances_twoInOneServer_needNames() {
    MemCgroup otherRoot = MemCgroup.root();
    try (Kmalloc other = Kmalloc.create(otherRoot);
        MemcgJmx _ = beans().register()) {
      MemcgJmx.Builder second = MemcgJmx.builder(other, otherRoot).server(server);
      assertThrows(IllegalStateException.class, second::register);
      assertEquals(2, registered().size(), "nothing of the second is left behind");
      try (MemcgJmx named = second.instance("b").register()) {
        assertEquals(4, registered().size());
        named.close();
      }
      assertEquals(2, registered().size());
    }
  }

  @Test
  void close_whatOthersUnregistered_isNoError() throws Exception {
    MemcgJmx jmx = beans().register();
    server.unregisterMBean(jmx.groupName("/"));
    server.unregisterMBean(jmx.allocatorName());
    jmx.close();
    jmx.close();
    jmx.refresh();
    assertEquals(Set.of(), registered());
  }

  @Test
  void builder_outOfRange_isRefused() {
    assertThrows(IllegalArgumentException.class, () -> beans().maxGroups(0));
    assertThrows(IllegalArgumentException.class, () -> beans().refreshEvery(Duration.ofMillis(-1)));
  }

  /** As JConsole would, over a connection: on the platform's server. */
  @Test
  @SuppressWarnings("BanJNDI") // connects to itself
  void connection_remote_readsAndSets() throws Exception {
    MemCgroup acme = root.create("acme");
    JMXConnectorServer connector =
        JMXConnectorServerFactory.newJMXConnectorServer(
            new JMXServiceURL("rmi", "127.0.0.1", 0),
            null,
            ManagementFactory.getPlatformMBeanServer());
    connector.start();
    try (MemcgJmx jmx = MemcgJmx.builder(kmalloc, root).instance("remote").register();
        JMXConnector client = JMXConnectorFactory.connect(connector.getAddress())) {
      MBeanServerConnection connection = client.getMBeanServerConnection();
      MemCgroupMXBean bean =
          JMX.newMXBeanProxy(connection, jmx.groupName("/acme"), MemCgroupMXBean.class);
      bean.setMax(9 * MIB);
      assertEquals(9 * MIB, acme.max());
      assertEquals(9 * MIB, bean.getMax());
      RuntimeMBeanException refused =
          assertThrows(
              RuntimeMBeanException.class,
              () ->
                  connection.invoke(
                      jmx.groupName("/acme"),
                      "write",
                      new Object[] {"memory.max", "lots"},
                      new String[] {String.class.getName(), String.class.getName()}));
      assertInstanceOf(IllegalArgumentException.class, refused.getCause());
      assertThrows(
          InstanceNotFoundException.class,
          () -> connection.getAttribute(jmx.groupName("/none"), "Usage"));
    } finally {
      connector.stop();
    }
  }
}
