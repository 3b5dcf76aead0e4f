package io.memcg4j.console;

import io.memcg4j.slab.AllocationProfile;
import java.io.IOException;

/** Live bytes by call site; what is written is the mode. */
final class ProfileResource implements Resource {
  /** Call sites that are listed at most. */
  static final int MAX_SITES = 200;

  private final AllocationProfile profile;

  ProfileResource(AllocationProfile profile) {
    this.profile = profile;
  }

  @Override
  public void get(Request request) throws IOException {
    if (!request.wantsJson()) {
      request.reply(Request.TEXT, profile.format(MAX_SITES));
      return;
    }
    Json json = new Json(4096).beginObject().put("mode", mode()).beginArray("sites");
    for (AllocationProfile.Site site : profile.top(MAX_SITES)) {
      json.beginObject().put("frame", site.frame()).put("liveBytes", site.liveBytes());
      json.put("nrLive", site.nrLive()).put("nrAllocated", site.nrAllocated());
      LeakResource.frames(json, profile.depot().frames(site.site()));
      json.endObject();
    }
    request.reply(Request.JSON, json.endArray().endObject() + "\n");
  }

  private String mode() {
    return profile.isExact() ? "exact" : profile.isOn() ? "sample" : "off";
  }

  @Override
  public void put(Request request) throws IOException {
    String mode = request.body().strip();
    switch (mode) {
      case "off" -> profile.off();
      case "sample" -> profile.sample();
      case "exact" -> profile.exact();
      default ->
          throw new IllegalArgumentException(
              "illegal mode: text=\"" + mode + "\" legal=off sample exact");
    }
    request.reply(Request.TEXT, mode() + "\n");
  }
}
