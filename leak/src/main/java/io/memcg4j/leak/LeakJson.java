package io.memcg4j.leak;

import java.util.List;
import java.util.Locale;

/** One JSON object per line. */
final class LeakJson {
  private LeakJson() {}

  static String lines(List<LeakSuspect> suspects) {
    StringBuilder text = new StringBuilder();
    for (LeakSuspect suspect : suspects) {
      append(suspect, text);
      text.append('\n');
    }
    return text.toString();
  }

  private static void append(LeakSuspect suspect, StringBuilder text) {
    text.append("{\"address\":\"0x").append(Long.toHexString(suspect.address()));
    text.append("\",\"nrBytes\":").append(suspect.nrBytes());
    text.append(",\"cgroup\":").append(string(suspect.cgroup()));
    if (!suspect.removedCgroup().isEmpty()) {
      text.append(",\"removedCgroup\":").append(string(suspect.removedCgroup()));
    }
    text.append(",\"cache\":").append(string(suspect.cache()));
    text.append(",\"crc\":\"").append(Integer.toHexString(suspect.checksum()));
    text.append("\",\"nrScans\":").append(suspect.nrScans());
    if (!suspect.isRootCause()) {
      text.append(",\"heldBy\":\"0x").append(Long.toHexString(suspect.heldBy())).append('"');
    }
    text.append(",\"ageNanos\":").append(suspect.ageNanos());
    text.append(",\"isAgeExact\":").append(suspect.isAgeExact());
    if (!suspect.comm().isEmpty()) {
      text.append(",\"comm\":").append(string(suspect.comm()));
      text.append(",\"pid\":").append(suspect.pid());
    }
    text.append(",\"frames\":[");
    String comma = "";
    for (StackTraceElement frame : suspect.frames()) {
      text.append(comma).append(string(frame.toString()));
      comma = ",";
    }
    text.append("]}");
  }

  static String string(String value) {
    StringBuilder text = new StringBuilder("\"");
    for (int i = 0; i < value.length(); i++) {
      char c = value.charAt(i);
      if (c == '"' || c == '\\') {
        text.append('\\').append(c);
      } else if (Character.isISOControl(c) || Character.isSurrogate(c)) {
        text.append(String.format(Locale.ROOT, "\\u%04x", (int) c));
      } else {
        text.append(c);
      }
    }
    return text.append('"').toString();
  }
}
