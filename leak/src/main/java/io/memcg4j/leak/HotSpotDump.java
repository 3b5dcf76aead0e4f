package io.memcg4j.leak;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import javax.management.InstanceNotFoundException;
import javax.management.JMException;
import javax.management.MBeanException;
import javax.management.ObjectName;

/**
 * The heap dump of HotSpot, by the name of its management bean. The one class that uses the JVM's
 * management interface, whose module an application may lack: then it does not link.
 */
final class HotSpotDump {
  private static final String BEAN = "com.sun.management:type=HotSpotDiagnostic";
  private static final String[] SIGNATURE = {String.class.getName(), boolean.class.getName()};

  private HotSpotDump() {}

  /** As {@link HeapDumper#dump}. */
  static void dump(Path file) throws IOException {
    Object[] live = {file.toString(), true};
    try {
      ManagementFactory.getPlatformMBeanServer()
          .invoke(new ObjectName(BEAN), "dumpHeap", live, SIGNATURE);
    } catch (InstanceNotFoundException e) {
      throw new HeapDumpException(
          "heap dump unsupported: vm="
              + System.getProperty("java.vm.name")
              + " legal=HotSpot with module jdk.management",
          e);
    } catch (MBeanException e) {
      if (e.getCause() instanceof IOException cause) {
        throw cause;
      }
      throw new HeapDumpException("heap dump failed: cause=" + e.getCause(), e);
    } catch (JMException e) {
      throw new HeapDumpException("heap dump failed: cause=" + e, e);
    }
  }
}
