package io.memcg4j.examples.container;

import io.memcg4j.memcg.MemCgroup;
import org.apache.catalina.core.StandardContext;

/**
 * A web application that is deployed.
 *
 * @param name of its folder, its group and its path
 * @param group who pays for it
 * @param context its part of the container
 */
record Application(String name, MemCgroup group, StandardContext context) {
  /**
   * The loader of its classes, which no other application sees.
   *
   * @return a loader of its own
   */
  ClassLoader classLoader() {
    return context.getLoader().getClassLoader();
  }
}
