/* The list of events, and what the head of the page says of the run. */

import { element, setAttribute, setHidden, setText } from "./run_elements.js";
import { lasting } from "./run_matrix.js";

const KEPT = 500;
const FINAL = new Set(["succeeded", "partial", "failed", "cancelled", "errored", "rejected", "expired"]);

export class Story {
  constructor(root) {
    this._list = root.querySelector("#events");
    this._note = root.querySelector("#events-note");
    this._new = [];
    this._list.scrollTop = this._list.scrollHeight;
  }

  add(event) {
    if (event.kind !== "output") this._new.push(event);
  }

  flush() {
    if (!this._new.length) return;
    const atEnd = this._list.scrollTop + this._list.clientHeight >= this._list.scrollHeight - 8;
    this._list.append(...this._new.slice(-KEPT).map(entry));
    this._new = [];
    while (this._list.children.length > KEPT) this._list.firstElementChild.remove();
    if (atEnd) this._list.scrollTop = this._list.scrollHeight;
    const first = Number(this._list.firstElementChild.dataset.seq);
    this._note.textContent = first > 1 ? `the newest ${this._list.children.length}` : "";
  }
}

function entry(event) {
  const item = element("li");
  item.dataset.seq = String(event.seq);
  const at = new Date(event.at);
  const time = element("time", "", { datetime: event.at }, at.toLocaleTimeString([], { hour12: false }));
  const named = [event.target && ` · ${event.target}`, event.step && ` › ${event.step}`, event.body && ` (${event.body})`];
  const told = [event.state && `: ${event.state}`, event.by && ` by ${event.by}`, event.code && ` [${event.code}]`, event.message && ` ${event.message}`];
  item.append(element("span", "story-seq", {}, String(event.seq)), " ", time, " ", element("span", "story-what", {}, [event.kind, ...named, ...told].filter(Boolean).join("")));
  return item;
}

/** Status, counts, bar, batch and duration. */
export class Head {
  constructor(root, state) {
    this._root = root;
    this.status = state.status;
    this._started = state.started && Date.parse(state.started);
    this._finished = state.finished && Date.parse(state.finished);
    this._find = (selector) => root.querySelector(selector);
    this._spoken = 0;
    setInterval(() => this.tick(), 1000);
  }

  get isFinal() {
    return FINAL.has(this.status);
  }

  apply(event) {
    if (event.kind === "note" && event.code === "batch.opened") {
      const number = /^Batch (\d+)/.exec(event.message ?? "");
      if (number) this._find("#run-batch").textContent = number[1];
    }
    if (event.kind !== "run" || !event.state) return;
    this.status = event.state;
    if (event.state === "running") this._started ??= Date.parse(event.at);
    if (this.isFinal) this._finished ??= Date.parse(event.at);
  }

  flush(matrix) {
    this._showStatus();
    const counts = matrix.counts();
    for (const [rank, count] of Object.entries(counts)) setText(this._find(`[data-tally="${rank}"] strong`), String(count));
    for (const each of this._root.querySelectorAll("[data-count]")) {
      setText(each, String(each.dataset.count === "all" ? matrix.targets.length : counts[each.dataset.count]));
    }
    setHidden(this._find("#run-failed"), counts.failed === 0);
    setText(this._find("#run-failed-text"), `${counts.failed} failed`);
    for (const [rank, start, width] of matrix.segments()) {
      const part = this._find(`#run-bar [data-rank="${rank}"]`);
      setAttribute(part, "x", `${start}%`);
      setAttribute(part, "width", `${width}%`);
    }
    const words = `${matrix.done()} of ${matrix.targets.length} targets done, ${counts.failed} failed`;
    setAttribute(this._find("#run-bar"), "aria-label", words);
    this._speak(words);
    matrix.showNone();
    this.tick();
  }

  _showStatus() {
    const status = this._find("#run-status");
    if (status.firstElementChild?.dataset.state === this.status) return;
    const badge = document.querySelector(`template[data-badge="${this.status}"]`);
    if (badge) status.replaceChildren(badge.content.cloneNode(true));
    this._root.dataset.status = this.status;
    this._find("#run-cancel").hidden = this.isFinal;
  }

  /** For who does not see the bar; not more often than somebody can listen. */
  _speak(words) {
    const summary = this._find("#run-summary");
    const now = Date.now();
    if (summary.textContent === words || (now - this._spoken < 5000 && !this.isFinal)) return;
    this._spoken = now;
    summary.textContent = words;
  }

  tick() {
    if (!this._started) return;
    const end = this._finished || Date.now();
    setText(this._find("#run-duration"), lasting((end - this._started) / 1000));
  }
}
