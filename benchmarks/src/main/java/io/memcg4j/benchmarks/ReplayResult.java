package io.memcg4j.benchmarks;

import org.jspecify.annotations.Nullable;

/**
 * What one trace did.
 *
 * @param nsPerEvent median over the timed rounds; {@code null} if nothing was timed
 * @param bestNsPerEvent best round; {@code null} if nothing was timed
 * @param chargedPeakBytes peak of the tenant's group, over all rounds
 * @param mappedPeakBytes most memory that the allocator had mapped at one time
 * @param nrRefused refused allocations and reallocations of one round (the last one)
 * @param nrLiveAtEnd objects that were live after the last event of one round (the last one)
 * @param driftBytes what the group is still charged after everything was freed and drained; 0
 */
record ReplayResult(
    Trace trace,
    @Nullable Double nsPerEvent,
    @Nullable Double bestNsPerEvent,
    long chargedPeakBytes,
    long mappedPeakBytes,
    int nrRefused,
    int nrLiveAtEnd,
    long driftBytes) {

  String toJson() {
    return new JsonLine()
        .put("trace", trace.name())
        .put("events", trace.nrEvents())
        .put("nsPerEvent", nsPerEvent)
        .put("requestedPeakBytes", trace.requestedPeakBytes())
        .put("chargedPeakBytes", chargedPeakBytes)
        .put("mappedPeakBytes", mappedPeakBytes)
        .put("refused", nrRefused)
        .put("liveAtEnd", nrLiveAtEnd)
        .put("driftBytes", driftBytes)
        .toString();
  }
}
