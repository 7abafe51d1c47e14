/* One stream of one body of a step on a target: its bytes from the first on, by socket or by request. */

import { Lines } from "./run_lines.js";

const SLICE = 128 * 1024;
const TRIES = 5;

export class Output {
  /** `place` is {target, step, body, stream}; `grew(this)` is called whenever there is more, or the end. */
  constructor({ place, address, connection, grew }) {
    Object.assign(this, { place, _address: address, _connection: connection, _grew: grew });
    this.lines = new Lines();
    this.attempt = null;
    this.complete = false;
    this.failed = "";
    this._pulling = null;
    this._again = false;
    this._closed = false;
  }

  /** Begin, or go on after the connection has changed. */
  follow({ final = false } = {}) {
    if (this.complete || this._closed) return;
    if (this._connection.isLive && !final) this._connection.watch({ ...this.place, offset: this.lines.position });
    else this.pull();
  }

  close() {
    this._closed = true;
  }

  isOf(frame) {
    return ["target", "step", "body", "stream"].every((key) => frame[key] === this.place[key]);
  }

  /** A frame of bytes from the socket. */
  take(frame) {
    if (this._closed) return;
    if (frame.attempt !== this.attempt) {
      const first = this.attempt === null && frame.offset === this.lines.position;
      this.attempt = frame.attempt;
      if (!first) this._restart();
      // Another try than the one whose bytes we have, and not from its beginning.
      if (!first && frame.offset > 0) return void this.follow();
    }
    if (frame.data) this.lines.append(decode64(frame.data), frame.offset);
    if (frame.eof) this._finish();
    this._grew(this);
  }

  _restart() {
    this.lines.reset();
    this.complete = false;
  }

  _finish() {
    this.complete = true;
    this.lines.finish();
  }

  /** All that is stored by now, by plain requests. */
  pull() {
    this._again = true;
    this._pulling ??= this._pullAll().finally(() => {
      this._pulling = null;
    });
    return this._pulling;
  }

  async _pullAll() {
    let failures = 0;
    while (this._again && !this._closed && !this.complete) {
      try {
        this._again = await this._piece();
        failures = 0;
        this.failed = "";
      } catch (error) {
        failures += 1;
        this.failed = `The output could not be read: ${error.message}.`;
        this._grew(this);
        if (failures >= TRIES) return;
        await pause(500 * 2 ** failures);
      }
    }
  }

  /** The next piece; whether another may follow at once. */
  async _piece() {
    const query = new URLSearchParams({ ...this.place, offset: String(this.lines.position) });
    const answer = await fetch(`${this._address}?${query}`);
    if (!answer.ok) throw new Error(`the portal answered ${answer.status}`);
    const offset = Number(answer.headers.get("X-Offset"));
    const bytes = new Uint8Array(await answer.arrayBuffer());
    for (let at = 0; at < bytes.length && !this._closed; at += SLICE) {
      this.lines.append(bytes.subarray(at, at + SLICE), offset + at);
      this._grew(this);
      await pause(0); // the page stays quick while a long log comes in
    }
    if (answer.headers.get("X-Complete") === "true") this._finish();
    this._grew(this);
    return bytes.length > 0;
  }
}

function decode64(text) {
  return Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
