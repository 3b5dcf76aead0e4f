package io.memcg4j.benchmarks;

/**
 * A case of charge and uncharge.
 *
 * @param depth groups from the leaf to the one below the root
 * @param nrThreads threads that charge at the same time
 * @param shared whether all of them charge the same leaf
 */
record TenantsPair(int depth, int nrThreads, boolean shared) {
  String text() {
    return "pair/depth" + depth + "/threads" + nrThreads + (shared ? "/shared" : "/own");
  }

  static TenantsPair parse(String text) {
    String[] parts = text.split("/", -1);
    return new TenantsPair(
        Integer.parseInt(parts[1].substring("depth".length())),
        Integer.parseInt(parts[2].substring("threads".length())),
        parts[3].equals("shared"));
  }

  int nrLeaves() {
    return shared ? 1 : nrThreads;
  }
}
