package io.memcg4j.console;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.Base64;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Who may do what. Any thread. */
final class Access {
  /*
   * Against    a name of an attacker that resolves to this host: only names of loopback pass as Host.
   *            A page of another origin that sends a form: needs the token, which no cookie carries,
   *            and has another Origin. Guesses of the token: 256 random bits, compared in constant
   *            time, and few wrong ones a second. A flood: rates.
   * Not        against other users of this machine who read: reading is open on loopback unless
   *            reads need the token too.
   */
  private static final Pattern HOST =
      Pattern.compile("(localhost|127\\.0\\.0\\.1|\\[::1])(:\\d+)?");
  private static final Set<String> SAME_SITE = Set.of("same-origin", "none");
  private static final String BEARER = "Bearer ";
  private static final int TOKEN_BYTES = 32;

  private final String token;
  private final boolean readsNeedToken;
  private final RateLimit requests = new RateLimit(500, 2_000);
  private final RateLimit writes = new RateLimit(100, 1_000);
  private final RateLimit wrongTokens = new RateLimit(5, 20);

  Access(String token, boolean readsNeedToken) {
    this.token = token;
    this.readsNeedToken = readsNeedToken;
  }

  static String newToken() {
    byte[] bytes = new byte[TOKEN_BYTES];
    new SecureRandom().nextBytes(bytes);
    return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
  }

  /**
   * Passes what is allowed.
   *
   * @throws HttpError with the reason
   */
  void check(Request request, boolean isPublic) {
    String host = checkHost(request);
    if (!requests.tryAcquire()) {
      throw tooMany();
    }
    if (request.isRead()) {
      if (readsNeedToken && !isPublic) {
        checkToken(request);
      }
      return;
    }
    checkOrigin(request, host);
    checkToken(request);
    if (!writes.tryAcquire()) {
      throw tooMany();
    }
  }

  private static String checkHost(Request request) {
    List<String> hosts = request.headers("Host");
    if (hosts.size() == 1) {
      Matcher host = HOST.matcher(hosts.getFirst());
      if (host.matches()) {
        return hosts.getFirst();
      }
    }
    throw new HttpError(HttpError.FORBIDDEN, "host not allowed: legal=localhost, 127.0.0.1, [::1]");
  }

  private static void checkOrigin(Request request, String host) {
    List<String> origins = request.headers("Origin");
    List<String> sites = request.headers("Sec-Fetch-Site");
    boolean isSameOrigin = origins.isEmpty() || origins.equals(List.of("http://" + host));
    if (!isSameOrigin || !SAME_SITE.containsAll(sites)) {
      throw new HttpError(HttpError.FORBIDDEN, "origin not allowed: legal=http://" + host);
    }
  }

  private void checkToken(Request request) {
    List<String> given = request.headers("Authorization");
    if (given.isEmpty()) {
      throw new HttpError(HttpError.UNAUTHORIZED, "token needed: header=Authorization: Bearer");
    }
    if (given.size() != 1 || !isToken(given.getFirst())) {
      if (!wrongTokens.tryAcquire()) {
        throw tooMany();
      }
      throw new HttpError(HttpError.UNAUTHORIZED, "wrong token");
    }
  }

  private boolean isToken(String authorization) {
    return authorization.startsWith(BEARER)
        && MessageDigest.isEqual(
            authorization.substring(BEARER.length()).getBytes(StandardCharsets.UTF_8),
            token.getBytes(StandardCharsets.UTF_8));
  }

  private static HttpError tooMany() {
    return new HttpError(HttpError.TOO_MANY_REQUESTS, "too many requests: retryAfterSeconds=1");
  }
}
