/* Bytes as they come, as an index of lines: text, style at its start and place in the stream. */

import { PLAIN, styleAfter } from "./run_ansi.js";

const NEWLINE = 10;

export class Lines {
  constructor() {
    this.reset();
  }

  reset() {
    this._decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    this._text = [];
    this._style = []; // only where it is not PLAIN
    this._offset = [];
    this._notes = new Map();
    this._open = false; // the last line has no end yet
    this.position = 0;
    this.longest = 0;
    this.version = (this.version ?? 0) + 1;
  }

  get count() {
    return this._text.length;
  }

  text(index) {
    const text = this._text[index];
    return text.endsWith("\r") ? text.slice(0, -1) : text;
  }

  style(index) {
    return this._style[index] ?? PLAIN;
  }

  /** Where in the stream the line begins. */
  offset(index) {
    return this._offset[index];
  }

  /** What stands instead of output that was not kept. */
  note(index) {
    return this._notes.get(index);
  }

  /** Whether the line may still grow. */
  isOpen(index) {
    return this._open && index === this._text.length - 1;
  }

  /** Take bytes that begin at `offset`; what is known already is left out, a gap is marked. */
  append(bytes, offset) {
    if (offset + bytes.length <= this.position) return;
    if (offset < this.position) return void this.append(bytes.subarray(this.position - offset), this.position);
    if (offset > this.position) this._skip(offset);
    const parts = this._decoder.decode(bytes, { stream: true }).split("\n");
    let start = this.position;
    parts.forEach((part, at) => {
      const end = at < parts.length - 1 ? bytes.indexOf(NEWLINE, start - this.position) + this.position + 1 : 0;
      this._take(part, start, end > 0);
      start = end;
    });
    this.position += bytes.length;
  }

  /** Nothing follows: an unfinished character at the end is shown as what it is. */
  finish() {
    const rest = this._decoder.decode();
    if (rest) this._take(rest, this.position, false);
  }

  _take(part, start, ended) {
    if (!this._open) {
      if (!part && !ended) return;
      this._push("", start);
    }
    const last = this._text.length - 1;
    if (part) this._text[last] += part;
    this.longest = Math.max(this.longest, this._text[last].length);
    this._open = !ended;
  }

  _push(text, start) {
    const last = this._text.length - 1;
    const style = last < 0 ? PLAIN : styleAfter(this._text[last], this.style(last));
    this._text.push(text);
    this._offset.push(start);
    if (style !== PLAIN) this._style[last + 1] = style;
  }

  _skip(offset) {
    this.finish();
    this._open = false;
    this._push("", this.position);
    this._notes.set(this._text.length - 1, `… ${(offset - this.position).toLocaleString()} bytes were not kept …`);
    this.position = offset;
  }
}
