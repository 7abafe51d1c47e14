/* A run's story without gap or repeat: by WebSocket, else by asking again and again, whatever breaks. */

const WAITS = [250, 500, 1000, 2000, 4000, 8000];
const GONE = {
  4401: "You are signed out. Sign in again to go on.",
  4403: "You may no longer see this run.",
  4404: "This run is no longer there.",
};
const TOO_SLOW = 4408;
const FAILURES_BEFORE_ASKING = 2;
const WAIT_SECONDS = 20;

export class Connection {
  /**
   * @param {{socket: string, events: string, after: number, onEvent: Function, onBytes: Function, onState: Function}} given
   * `onEvent` gets each event once and in order; `onState("live" | "asking" | "waiting" | "gone", text)`.
   */
  constructor({ socket, events, after, onEvent, onBytes, onState }) {
    Object.assign(this, { _path: socket, _events: events, last: after, _onEvent: onEvent, _onBytes: onBytes, _onState: onState });
    this.gaps = 0;
    this._failures = 0;
    this._socket = null;
    this._over = false;
    this._filling = false;
    this._asking = false;
  }

  start() {
    this._open();
    addEventListener("online", () => this._hurry());
    addEventListener("pagehide", () => this._socket?.close());
    addEventListener("pageshow", (event) => event.persisted && this._hurry());
  }

  /** Whether output comes by the socket. */
  get isLive() {
    return this._socket?.readyState === WebSocket.OPEN;
  }

  watch(asked) {
    if (this.isLive) this._socket.send(JSON.stringify({ watch: asked }));
  }

  _open() {
    clearTimeout(this._timer);
    this._timer = 0;
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}${this._path}?after=${this.last}`);
    this._socket = socket;
    socket.addEventListener("message", (event) => socket === this._socket && this._take(JSON.parse(event.data)));
    socket.addEventListener("close", (event) => socket === this._socket && this._closed(event.code));
  }

  _take(message) {
    if (message.kind === "hello") {
      this._failures = 0;
      this._onState("live", "");
    } else if (message.kind === "bytes") this._onBytes(message);
    else if (typeof message.seq === "number") this._event(message);
  }

  _event(event) {
    if (event.seq <= this.last) return;
    if (event.seq > this.last + 1) {
      this.gaps += 1;
      this._fill();
      return;
    }
    this.last = event.seq;
    this._onEvent(event);
  }

  /** What is missing, from the rows; what comes by the socket meanwhile is among it. */
  async _fill() {
    if (this._filling) return;
    this._filling = true;
    try {
      while (await this._ask(0)) { /* there is more */ }
    } catch {
      this._socket?.close();
    } finally {
      this._filling = false;
    }
  }

  /** Events after the last one; how many came. */
  async _ask(wait) {
    const answer = await fetch(`${this._events}?after=${this.last}&limit=1000&wait=${wait}`, {
      headers: { Accept: "application/json" },
      signal: AbortSignal.timeout((wait + 15) * 1000),
    });
    if (answer.status === 401) throw this._end(4401);
    if (answer.status === 403) throw this._end(4403);
    if (answer.status === 404) throw this._end(4404);
    if (!answer.ok) throw new Error(`answered ${answer.status}`);
    const { events } = await answer.json();
    events.forEach((event) => this._event(event));
    return events.length;
  }

  _closed(code) {
    this._socket = null;
    if (this._over) return;
    if (GONE[code]) return void this._end(code);
    if (code === TOO_SLOW) return void this._open();
    this._failures += 1;
    const wait = WAITS[Math.min(this._failures, WAITS.length) - 1] * (0.75 + Math.random() / 2);
    if (!this._asking) this._onState("waiting", `Live updates paused, retrying in ${Math.max(1, Math.round(wait / 1000))} s.`);
    this._timer = setTimeout(() => this._open(), wait);
    if (this._failures >= FAILURES_BEFORE_ASKING) this._poll();
  }

  /** As long as there is no socket, by plain requests that wait for news. */
  async _poll() {
    if (this._asking) return;
    this._asking = true;
    try {
      while (!this._over && !this.isLive) {
        await this._ask(WAIT_SECONDS);
        if (!this.isLive) this._onState("asking", "");
      }
    } catch {
      // The next failure of the socket begins it again.
      if (!this._over && !this.isLive) this._onState("waiting", "Live updates paused, retrying.");
    } finally {
      this._asking = false;
    }
  }

  _hurry() {
    if (!this._over && !this.isLive && this._socket === null) this._open();
  }

  _end(code) {
    this._over = true;
    clearTimeout(this._timer);
    this._socket?.close();
    this._onState("gone", GONE[code]);
    return new Error(GONE[code]);
  }
}
