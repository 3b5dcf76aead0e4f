package io.memcg4j.examples.server;

import io.memcg4j.memcg.MemCgroup;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * The text that says which tenants there are: a section for each, with the kernel's words.
 *
 * <pre>
 * max = 256m            # before any section: all tenants together
 *
 * [acme]
 * low  = 16m            # min, low, high: optional
 * high = 48m
 * max  = 64m
 * oom  = refuse         # or clear
 * </pre>
 *
 * @param maxBytes limit of all tenants together
 * @param tenants in the order of the text; at least one
 */
record TenantsFile(long maxBytes, List<TenantSettings> tenants) {
  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}");
  private static final Set<String> KEYS = Set.of("min", "low", "high", "max", "oom");
  private static final int MAX_TENANTS = 100_000;
  private static final int MAX_SHOWN = 64;

  TenantsFile {
    tenants = List.copyOf(tenants);
  }

  /** Whether a tenant can have that name: 1 to 64 letters, digits, dots, dashes, underscores. */
  static boolean isLegalName(String name) {
    return NAME.matcher(name).matches();
  }

  /** What is wrong with the text, and where. */
  static final class SyntaxException extends Exception {
    private static final long serialVersionUID = 1L;

    SyntaxException(int line, String reason) {
      super("line " + line + ": " + reason);
    }
  }

  private record Entry(String value, int line) {}

  /**
   * Reads the whole text; nothing of it counts if anything is wrong.
   *
   * @throws SyntaxException with the number of the first line that is wrong
   */
  static TenantsFile parse(String text) throws SyntaxException {
    Map<String, Map<String, Entry>> sections = new LinkedHashMap<>();
    Map<String, Integer> lines = new HashMap<>();
    Map<String, Entry> entries = new HashMap<>();
    sections.put("", entries);
    lines.put("", 1);
    int line = 0;
    for (String raw : text.split("\n", -1)) {
      line++;
      String content = raw.replaceFirst("[#;].*", "").strip();
      if (content.isEmpty()) {
        continue;
      }
      if (content.startsWith("[")) {
        entries = beginSection(content, line, sections, lines);
      } else {
        addEntry(content, line, entries);
      }
    }
    return build(sections, lines, line);
  }

  private static Map<String, Entry> beginSection(
      String content,
      int line,
      Map<String, Map<String, Entry>> sections,
      Map<String, Integer> lines)
      throws SyntaxException {
    String name = content.endsWith("]") ? content.substring(1, content.length() - 1).strip() : "";
    if (!isLegalName(name)) {
      throw new SyntaxException(
          line, "bad tenant: section=" + shown(content) + " legal=[A-Za-z0-9._-], 1 to 64 of them");
    }
    Map<String, Entry> entries = new HashMap<>();
    if (sections.putIfAbsent(name, entries) != null) {
      throw new SyntaxException(
          line, "tenant twice: tenant=" + name + " first=line " + lines.get(name));
    }
    if (sections.size() > MAX_TENANTS) {
      throw new SyntaxException(line, "too many tenants: legal=1.." + MAX_TENANTS);
    }
    lines.put(name, line);
    return entries;
  }

  private static void addEntry(String content, int line, Map<String, Entry> entries)
      throws SyntaxException {
    int equals = content.indexOf('=');
    String key = equals < 0 ? content : content.substring(0, equals).strip();
    if (equals < 0 || !KEYS.contains(key)) {
      throw new SyntaxException(
          line,
          "not an entry: text=\"" + shown(content) + "\" legal=KEY = VALUE, KEY of " + keys());
    }
    Entry entry = new Entry(content.substring(equals + 1).strip(), line);
    Entry earlier = entries.putIfAbsent(key, entry);
    if (earlier != null) {
      throw new SyntaxException(line, "entry twice: key=" + key + " first=line " + earlier.line());
    }
  }

  /** Short, and without what would do something to a terminal. */
  static String shown(String text) {
    StringBuilder shown = new StringBuilder();
    text.codePoints()
        .limit(MAX_SHOWN)
        .forEach(c -> shown.appendCodePoint(Character.isISOControl(c) ? '?' : c));
    return shown.toString();
  }

  private static String keys() {
    return KEYS.stream().sorted().toList().toString();
  }

  private static TenantsFile build(
      Map<String, Map<String, Entry>> sections, Map<String, Integer> lines, int lastLine)
      throws SyntaxException {
    Map<String, Entry> global = sections.getOrDefault("", Map.of());
    for (Map.Entry<String, Entry> entry : global.entrySet()) {
      if (!entry.getKey().equals("max")) {
        throw new SyntaxException(
            entry.getValue().line(), "only max before the first section: key=" + entry.getKey());
      }
    }
    List<TenantSettings> tenants = new ArrayList<>();
    for (Map.Entry<String, Map<String, Entry>> section : sections.entrySet()) {
      if (!section.getKey().isEmpty()) {
        tenants.add(
            settings(
                section.getKey(), section.getValue(), lines.getOrDefault(section.getKey(), 1)));
      }
    }
    if (tenants.isEmpty()) { // perhaps somebody is still writing it
      throw new SyntaxException(lastLine, "no tenant");
    }
    return new TenantsFile(size(global, "max", MemCgroup.UNLIMITED), tenants);
  }

  private static TenantSettings settings(String name, Map<String, Entry> entries, int line)
      throws SyntaxException {
    if (!entries.containsKey("max")) {
      throw new SyntaxException(line, "tenant without a limit: tenant=" + name + " missing=max");
    }
    long max = size(entries, "max", MemCgroup.UNLIMITED);
    long high = size(entries, "high", max);
    long min = size(entries, "min", 0);
    long low = size(entries, "low", min);
    if (!(min <= low && low <= high && high <= max)) {
      throw new SyntaxException(
          line,
          String.format(
              Locale.ROOT,
              "limits out of order: tenant=%s min=%d low=%d high=%d max=%d"
                  + " legal=min <= low <= high <= max",
              name,
              min,
              low,
              high,
              max));
    }
    // Without a high line of its own a tenant is not slowed before it is refused.
    long slowFrom = entries.containsKey("high") ? high : MemCgroup.UNLIMITED;
    return new TenantSettings(name, min, low, slowFrom, max, oom(entries));
  }

  private static long size(Map<String, Entry> entries, String key, long otherwise)
      throws SyntaxException {
    Entry entry = entries.get(key);
    if (entry == null) {
      return otherwise;
    }
    try {
      return ByteSize.parse(entry.value());
    } catch (IllegalArgumentException e) {
      throw new SyntaxException(entry.line(), key + " is " + e.getMessage());
    }
  }

  private static OomPolicy oom(Map<String, Entry> entries) throws SyntaxException {
    Entry entry = entries.get("oom");
    if (entry == null) {
      return OomPolicy.REFUSE;
    }
    return switch (entry.value()) {
      case "refuse" -> OomPolicy.REFUSE;
      case "clear" -> OomPolicy.CLEAR;
      default ->
          throw new SyntaxException(
              entry.line(), "bad policy: oom=" + shown(entry.value()) + " legal=refuse, clear");
    };
  }
}
