// What the page asks of the console, with the token if there is one.

let token = null;

/** The token comes in the fragment, which is not sent, and does not stay in the address bar. */
export function takeToken() {
  const found = /(?:^#|&)token=([A-Za-z0-9_-]+)/.exec(location.hash);
  if (found) {
    setToken(found[1]);
    history.replaceState(null, "", location.pathname + location.search);
  } else {
    token = sessionStorage.getItem("token");
  }
  return token !== null;
}

export function setToken(text) {
  token = text || null;
  if (token) sessionStorage.setItem("token", token);
  else sessionStorage.removeItem("token");
}

export const canWrite = () => token !== null;

function headers() {
  return token ? { Authorization: "Bearer " + token } : {};
}

async function checked(response) {
  if (response.ok) return response;
  const text = (await response.text()).trim();
  const error = new Error(text || response.status + " " + response.statusText);
  error.status = response.status;
  throw error;
}

export async function getJson(path) {
  const response = await fetch(path, { headers: { ...headers(), Accept: "application/json" } });
  return (await checked(response)).json();
}

export async function getText(path) {
  return (await checked(await fetch(path, { headers: headers() }))).text();
}

export async function put(path, text) {
  const response = await fetch(path, { method: "PUT", headers: headers(), body: text });
  return (await checked(response)).text();
}

/** The address of a group: names are encoded one by one. */
export function address(kind, path) {
  const names = path.split("/").filter((name) => name !== "");
  return "/" + kind + names.map((name) => "/" + encodeURIComponent(name)).join("");
}

const MIN_WAIT = 500;
const MAX_WAIT = 8000;
const SILENCE = 25000;

/**
 * Server-sent events, again and again. With fetch, as EventSource carries no token.
 * onMessage(event, data as text); onState("live" | "reconnecting", error).
 */
export function stream(path, onMessage, onState) {
  let wait = MIN_WAIT;
  (async () => {
    for (;;) {
      try {
        await once(path, (event, data) => {
          wait = MIN_WAIT;
          onMessage(event, data);
        }, onState);
        onState("reconnecting", null);
      } catch (error) {
        onState("reconnecting", error);
      }
      await new Promise((resolve) => setTimeout(resolve, wait));
      wait = Math.min(2 * wait, MAX_WAIT);
    }
  })();
}

async function once(path, onMessage, onState) {
  const abort = new AbortController();
  let silence = setTimeout(() => abort.abort(), SILENCE);
  const response = await checked(
    await fetch(path, { headers: headers(), signal: abort.signal, cache: "no-store" }));
  onState("live", null);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let parts = [];
  for (;;) {
    const { value, done } = await reader.read();
    clearTimeout(silence);
    if (done) return;
    silence = setTimeout(() => abort.abort(), SILENCE);
    parts.push(value);
    if (!value.endsWith("\n")) continue;
    const text = parts.join("");
    const end = text.lastIndexOf("\n\n");
    if (end < 0) continue;
    parts = end + 2 < text.length ? [text.slice(end + 2)] : [];
    for (const message of text.slice(0, end).split("\n\n")) deliver(message, onMessage);
  }
}

function deliver(message, onMessage) {
  let event = "message";
  let data = null;
  for (const line of message.split("\n")) {
    if (line.startsWith("event: ")) event = line.slice(7);
    else if (line.startsWith("data: ")) data = line.slice(6);
  }
  if (data !== null) onMessage(event, data);
}
