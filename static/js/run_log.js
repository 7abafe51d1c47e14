/* A log of any length: rows of one height, of which only those in sight are elements. */

import { classesOf, pieces, PLAIN, shownLength } from "./run_ansi.js";
import { element, setHidden, setText } from "./run_elements.js";

const AHEAD = 12;
// Browsers cannot lay out much more than this; beyond, the scroll bar goes in larger strides.
const TALLEST = 8_000_000;
const LONGEST_ROW = 4096;
// Times as long as the last drawing took, with the wait for its frame; milliseconds.
const REST = 2;
const LONGEST_REST = 250;

export class LogView {
  /** `changed()` is told when following starts or pauses, `marked(from, to)` when lines are pointed at. */
  constructor(root, { label, changed, marked }) {
    this._changed = changed;
    this._marked = marked;
    this.root = root;
    this.scroller = element("div", "log-scroller", { tabindex: "0", role: "region", "aria-label": label });
    // Beside the rows, not around them: every change of its height would have all of them styled anew.
    this._span = element("div", "log-span");
    this._sheet = element("div", "log-sheet");
    this._more = element("button", "log-more btn", { type: "button", hidden: "" });
    this._empty = element("p", "log-empty");
    this.scroller.append(this._span, this._sheet);
    root.replaceChildren(this.scroller, this._empty, this._more);
    this._rows = new Map();
    this._measure();
    this.follow = true;
    this.wrap = false;
    this.times = null;
    this.mark = null;
    this._top = 0;
    this._seen = 0;
    this._frame = 0;
    this._resting = 0;
    this._again = false;
    this._inView = 0;
    this.scroller.addEventListener("scroll", () => this._scrolled(), { passive: true });
    this.scroller.addEventListener("click", (event) => this._clicked(event));
    this._more.addEventListener("click", () => this.setFollow(true));
    new ResizeObserver(() => this._resized()).observe(this.scroller);
  }

  /** Show these lines from now on; `empty` is said while there are none. */
  show(lines, empty) {
    this.lines = lines;
    this._version = -1;
    this._mayBeEmpty(empty);
    this.mark = null;
    this.times = this.times && [];
    this.setFollow(true);
  }

  _mayBeEmpty(text) {
    setText(this._empty, text);
  }

  say(text) {
    this._mayBeEmpty(text);
    this.grew();
  }

  /** There may be more lines than before. Drawn with the next frame, however often this is called. */
  grew() {
    if (this._resting) return void (this._again = true);
    if (this._frame) return;
    const asked = performance.now();
    this._frame = requestAnimationFrame(() => this._drawNow(asked));
  }

  /** A machine that is slow to draw draws less often, so that it keeps up with what comes. */
  _drawNow(asked) {
    this._frame = 0;
    this._draw();
    this._resting = setTimeout(() => {
      const took = performance.now() - asked;
      this._resting = setTimeout(() => this._rested(), Math.min(REST * took, LONGEST_REST));
    });
  }

  _rested() {
    this._resting = 0;
    const again = this._again;
    this._again = false;
    if (again) this.grew();
  }

  /** What has come so far is no news to who does not follow. */
  notNew() {
    this._seen = this.lines.count;
  }

  setFollow(on) {
    this.follow = on;
    if (!on) this._seen = this.lines?.count ?? 0;
    this._changed(on);
    this.grew();
  }

  setWrap(on) {
    const first = this._lineOfRow(this._firstRow());
    this.wrap = on;
    this.root.classList.toggle("is-wrapped", on);
    this._redraw();
    if (!this.follow) this.reveal(first, "start");
  }

  /** `times(offset)` gives the text that stands before a line that begins there; null hides them. */
  setTimes(times) {
    this.times = times;
    this.root.classList.toggle("has-times", Boolean(times));
    this._redraw();
  }

  /** Point at lines, the first being 1; true when they are there already. */
  pointAt(from, to) {
    this.mark = { from, to };
    if (this.lines.count < from) return false;
    this.setFollow(false);
    this.reveal(from - 1, "center");
    this._redraw();
    return true;
  }

  reveal(index, where) {
    const row = this._rowOfLine(index) - (where === "center" ? Math.floor(this._inSight() / 2) : 0);
    this._apply();
    this.scroller.scrollTop = this._topOfRow(Math.max(0, row));
    this._top = this.scroller.scrollTop;
    this.grew();
  }

  _redraw() {
    this._version = -1;
    this.grew();
  }

  _measure() {
    const probe = element("div", "log-row");
    const text = element("span", "log-text");
    text.textContent = "0".repeat(100);
    probe.append(text);
    this._sheet.append(probe);
    this.height = probe.getBoundingClientRect().height || 18;
    this.character = text.getBoundingClientRect().width / 100 || 8;
    probe.remove();
  }

  _resized() {
    this._inView = this.scroller.clientHeight;
    if (this.wrap) this._version = -1;
    this.grew();
  }

  // --- Rows. Wrapped, a line takes as many as its characters need -------------------------------------------

  _layOut() {
    const { lines } = this;
    const columns = this.wrap ? Math.max(20, Math.floor((this.scroller.clientWidth - this._gutter()) / this.character)) : 0;
    if (this._version !== lines.version || this._columns !== columns) {
      for (const row of this._rows.values()) row.remove();
      this._rows.clear();
      this._starts = [0];
      this._version = lines.version;
      this._columns = columns;
    }
    if (!columns) return;
    // The last line is measured again, for it may have grown.
    let at = Math.max(0, this._starts.length - 2);
    for (; at < lines.count; at += 1) {
      this._starts[at + 1] = this._starts[at] + Math.max(1, Math.ceil(shownLength(lines.text(at).slice(0, LONGEST_ROW)) / columns));
    }
  }

  _gutter() {
    return this.character * (this.times ? 24 : 10) + 24;
  }

  _total() {
    return this.wrap ? this._starts[this.lines.count] ?? 0 : this.lines.count;
  }

  _rowOfLine(index) {
    return this.wrap ? this._starts[Math.min(index, this._starts.length - 1)] : index;
  }

  _lineOfRow(row) {
    if (!this.wrap || !this._starts) return row;
    let low = 0, high = this._starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this._starts[middle] <= row) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  _inSight() {
    return Math.ceil(this._inView / this.height);
  }

  _height() {
    return Math.min(this._total() * this.height, TALLEST);
  }

  _scale() {
    const room = Math.max(1, this._height() - this._inView);
    return Math.max(1, (this._total() * this.height - this._inView) / room);
  }

  _firstRow() {
    return this.lines ? Math.floor((this._top * this._scale()) / this.height) : 0;
  }

  _topOfRow(row) {
    return (row * this.height) / this._scale();
  }

  _apply() {
    this._layOut();
    this._span.style.height = `${this._height()}px`;
    const width = this.wrap ? "" : `${Math.min(this.lines.longest, LONGEST_ROW) * this.character + this._gutter()}px`;
    if (this._sheet.style.minWidth !== width) this._sheet.style.minWidth = width;
  }

  /** Nothing of the page is measured between its changes: each time that would lay it out once more. */
  _draw() {
    if (!this.lines) return;
    this._inView ||= this.scroller.clientHeight;
    if (!this.follow) this._top = this.scroller.scrollTop;
    this._apply();
    setHidden(this._empty, this.lines.count > 0);
    if (this.follow) this._top = Math.max(0, this._height() - this._inView);
    const first = this._firstRow();
    const from = this._lineOfRow(Math.max(0, first - AHEAD));
    const to = Math.min(this.lines.count, this._lineOfRow(first + this._inSight() + AHEAD) + 1);
    this._drop(from, to);
    const shift = this._top - (this._top * this._scale()); // 0 unless the scroll bar goes in strides
    for (let index = from; index < to; index += 1) this._place(index, shift);
    this.root.dataset.lines = String(this.lines.count);
    this._count();
    if (this.follow) this._toEnd();
  }

  _toEnd() {
    this.scroller.scrollTop = this._height();
    this._top = this.scroller.scrollTop;
  }

  _drop(from, to) {
    for (const [index, row] of this._rows) {
      if (index < from || index >= to) {
        row.remove();
        this._rows.delete(index);
      }
    }
  }

  _place(index, shift) {
    let row = this._rows.get(index);
    const text = this.lines.text(index);
    if (!row || row.shownText !== text) {
      const made = this._row(index, text);
      if (row) row.replaceWith(made);
      else this._insert(made, index);
      row = made;
      this._rows.set(index, row);
    }
    const top = `${this._rowOfLine(index) * this.height + shift}px`;
    if (row.style.top !== top) row.style.top = top;
    const marked = this.mark !== null && index + 1 >= this.mark.from && index + 1 <= this.mark.to;
    if (row.classList.contains("is-marked") !== marked) row.classList.toggle("is-marked", marked);
  }

  /** In the order of lines, so that a selection copies as it reads. */
  _insert(made, index) {
    const next = this._rows.get(index + 1);
    if (next) return void next.before(made);
    const before = this._rows.get(index - 1);
    if (before) return void before.after(made);
    for (const [other, row] of [...this._rows].sort((a, b) => a[0] - b[0])) {
      if (other > index) return void row.before(made);
    }
    this._sheet.append(made);
  }

  _row(index, text) {
    const row = element("div", "log-row");
    row.shownText = text;
    const number = element("a", "log-no", { href: `#L${index + 1}`, "aria-label": `Line ${index + 1}`, tabindex: "-1" });
    number.dataset.line = String(index + 1);
    number.dataset.number = String(index + 1);
    row.append(number);
    if (this.times) {
      const time = element("span", "log-time");
      time.textContent = this.times(this.lines.offset(index));
      row.append(time);
    }
    row.append(this._words(index, text));
    return row;
  }

  _words(index, text) {
    const words = element("span", "log-text");
    const note = this.lines.note(index);
    if (note !== undefined) {
      words.classList.add("log-note");
      words.textContent = note;
      return words;
    }
    const cut = text.length > LONGEST_ROW;
    const found = pieces(cut ? text.slice(0, LONGEST_ROW) : text, this.lines.style(index));
    for (const [part, style] of this._broken(found)) {
      if (style === PLAIN) words.append(part);
      else words.append(element("span", classesOf(style), {}, part));
    }
    if (cut) words.append(element("span", "log-note", {}, ` … ${(text.length - LONGEST_ROW).toLocaleString()} more characters: see Raw`));
    return words;
  }

  /** Wrapped, the rows' ends: the same count of characters for each, whatever they are. */
  _broken(found) {
    if (!this.wrap) return found;
    const broken = [];
    let left = this._columns;
    for (const [part, style] of found) {
      let rest = part;
      while (rest.length > left) {
        broken.push([`${rest.slice(0, left)}\n`, style]);
        rest = rest.slice(left);
        left = this._columns;
      }
      broken.push([rest, style]);
      left -= rest.length;
    }
    return broken;
  }

  _count() {
    const fresh = this.follow ? 0 : this.lines.count - this._seen;
    setHidden(this._more, fresh <= 0);
    if (fresh > 0) setText(this._more, `▼ ${fresh.toLocaleString()} new line${fresh === 1 ? "" : "s"}`);
  }

  // --- What the reader does ------------------------------------------------------------------------------------

  _scrolled() {
    const now = this.scroller.scrollTop;
    if (now === this._top) return; // our own doing
    const atEnd = now + this.scroller.clientHeight >= this.scroller.scrollHeight - this.height;
    if (this.follow && now < this._top - 2 && !atEnd) this.setFollow(false);
    else if (!this.follow && now > this._top && atEnd) this.setFollow(true);
    this._top = now;
    this.grew();
  }

  _clicked(event) {
    const number = event.target.closest(".log-no");
    if (!number) return;
    event.preventDefault();
    const line = Number(number.dataset.line);
    const from = event.shiftKey && this.mark ? Math.min(this.mark.from, line) : line;
    const to = event.shiftKey && this.mark ? Math.max(this.mark.from, line) : line;
    this.mark = { from, to };
    this.setFollow(false);
    this._marked(from, to);
    this.grew();
  }
}
