// The server: requests with the token, answers as they are written, and whether it is there.

const TOKEN = 'lisa-token';
const EVERY = 3000;  // milliseconds between two looks at the server
const PATIENCE = 8000;  // an answer to such a look takes no longer

/** An answer of the server that says what was wrong. */
export class Refused extends Error {
  constructor(message, kind, status) {
    super(message);
    this.kind = kind;
    this.status = status;
  }
}

/** The connection is gone. */
export class Lost extends Error {}

export class Server extends EventTarget {
  /** 'connecting', 'ready', 'loading' (no model), 'token' (one is needed), 'lost'. */
  state = 'connecting';
  /** What /v1/model says. */
  info = null;

  constructor() {
    super();
    // A token in the address's fragment is never sent; it is taken out of the address bar.
    const given = new URLSearchParams(location.hash.slice(1)).get('token');
    if (given) {
      sessionStorage.setItem(TOKEN, given);
      history.replaceState(null, '', location.pathname);
    }
  }

  set token(token) {
    sessionStorage.setItem(TOKEN, token);
  }

  #become(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new Event('state'));
  }

  async request(path, options = {}) {
    const headers = new Headers(options.headers);
    const token = sessionStorage.getItem(TOKEN);
    if (token) headers.set('Authorization', `Bearer ${token}`);
    let response;
    try {
      response = await fetch(path, {...options, headers, cache: 'no-store', credentials: 'omit'});
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      this.#become('lost');
      throw new Lost('The connection to the server was lost.');
    }
    if (response.status === 401) this.#become('token');
    if (!response.ok) throw await refusal(response);
    return response;
  }

  /** Looks at the server from time to time, for as long as the page lives. */
  async watch() {
    for (;;) {
      await this.look();
      await new Promise((done) => setTimeout(done, this.state === 'lost' ? EVERY / 3 : EVERY));
    }
  }

  /** Looks at the server once. */
  async look() {
    try {
      const response = await this.request('/v1/model', {signal: AbortSignal.timeout(PATIENCE)});
      this.info = await response.json();
      this.#become(this.info.model ? 'ready' : 'loading');
    } catch (error) {
      if (error.status !== 401) this.#become('lost');
    }
  }

  /** Asks, and calls `event(name, data)` for each event. Returns the answer. */
  async ask(form, signal, event) {
    const response = await this.request('/v1/segment?stream=true', {method: 'POST', body: form, signal});
    let answer = null;
    try {
      for await (const [name, data] of events(response.body)) {
        if (name === 'error') throw new Refused(data.error, data.kind, 200);
        if (name === 'done') answer = data;
        event(name, data);
      }
    } catch (error) {
      if (error instanceof Refused || error.name === 'AbortError') throw error;
      this.#become('lost');
      throw new Lost('The connection was lost while the answer was written.');
    }
    if (!answer) throw new Lost('The answer ended before it was complete.');
    return answer;
  }

  async forget(conversation) {
    await this.request(`/v1/conversations/${encodeURIComponent(conversation)}`, {method: 'DELETE'});
  }

  /** A picture of the server, to be drawn. */
  async picture(path) {
    const response = await this.request(path);
    return createImageBitmap(await response.blob());
  }
}

async function refusal(response) {
  try {
    const said = await response.json();
    return new Refused(said.error, said.kind, response.status);
  } catch {
    return new Refused(`The server answered ${response.status}.`, 'status', response.status);
  }
}

/** Server-sent events of a body, as [name, data]. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    rest += value;
    let end;
    while ((end = rest.indexOf('\n\n')) >= 0) {
      const lines = rest.slice(0, end).split('\n');
      rest = rest.slice(end + 2);
      const field = (name) => lines.filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).trim());
      const [data] = field('data');
      if (data !== undefined) yield [field('event')[0] ?? 'message', JSON.parse(data)];
    }
  }
}
