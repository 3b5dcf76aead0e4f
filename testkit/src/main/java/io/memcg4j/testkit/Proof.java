package io.memcg4j.testkit;

/**
 * A proof that is no jcstress test (a model checker's, a fuzzer's, a run of endurance) and its row
 * in the table of {@code ./memcg4j proof-table}, which it has once it has succeeded.
 */
public final class Proof {
  private final Class<?> test;
  private final String what;

  private Proof(Class<?> test, String what) {
    this.test = test;
    this.what = what;
  }

  /**
   * The proof begins: what an earlier run of it has seen is forgotten.
   *
   * @param test the test
   * @param what what is tried, in a few words; the test's rows differ in it
   * @return to be told how it ended
   */
  public static Proof begin(Class<?> test, String what) {
    ProofRow.forget(test, what);
    return new Proof(test, what);
  }

  /**
   * The real code did what it should.
   *
   * @param nrSamples how often
   * @param seen figures
   */
  public void holds(long nrSamples, String seen) {
    ProofRow.write(test, what, "holds", nrSamples, seen);
  }

  /**
   * A broken twin was caught.
   *
   * @param nrSamples at most how often it was tried
   * @param seen figures
   */
  public void breaks(long nrSamples, String seen) {
    ProofRow.write(test, what, "breaks", nrSamples, seen);
  }
}
