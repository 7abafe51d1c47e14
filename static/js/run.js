/* The live page of a run. The page as it was served stands by itself; this keeps it true from there on. */

import { Connection } from "./run_connection.js";
import { setData } from "./run_elements.js";
import { Matrix } from "./run_matrix.js";
import { Panel } from "./run_panel.js";
import { Head, Story } from "./run_story.js";

const SHOWN_EVERY = 150;
const BANNER_AFTER = 800;

class Page {
  constructor(root, state) {
    this._root = root;
    this.matrix = new Matrix(state, root.querySelector("#matrix"));
    this.head = new Head(root, state);
    this.story = new Story(root);
    this._applied = 0;
    this._news = false;
    this._standing = "";
    this._digest = 0x811c9dc5;
    this._shownAt = 0;
    this.connection = new Connection({
      socket: root.dataset.socket,
      events: root.dataset.events,
      after: state.last_seq,
      onEvent: (event) => this._take(event),
      onBytes: (frame) => this.panel?.bytes(frame),
      onState: (name, text) => this._connected(name, text),
    });
    const log = root.querySelector("#log");
    const addresses = { output: root.dataset.output, times: root.dataset.times };
    this.panel = log && new Panel(log, { matrix: this.matrix, connection: this.connection, head: this.head, addresses });
  }

  start() {
    document.documentElement.classList.add("has-script");
    const asked = new URLSearchParams(location.search);
    const { target, step, body } = this._root.querySelector("#log")?.dataset ?? {};
    const lines = /^#L(\d+)(?:-L(\d+))?$/.exec(location.hash);
    this.panel?.open({
      target,
      step,
      body,
      stream: asked.get("stream"),
      lines: lines && [Number(lines[1]), Number(lines[2] ?? lines[1])],
    });
    if (this.panel) this.panel.byReader = asked.has("target");
    this._showNews();
    setInterval(() => this.matrix.showTimes(), 1000);
    this._listen();
    if (this.head.isFinal) this._root.dataset.connection = "final";
    else this.connection.start();
    this._stand();
  }

  // --- What comes ---------------------------------------------------------------------------------------------

  _take(event) {
    this._applied += 1;
    this._digest = fnv(`${event.seq}:${event.kind}:${event.target ?? ""}:${event.step ?? ""}:${event.state ?? event.length ?? ""}\n`, this._digest);
    this.story.add(event);
    this.head.apply(event);
    if (event.kind === "step") this._step(event);
    if (event.kind === "output") this.panel?.told(event);
    // Output changes nothing but the log, which draws itself.
    this._news ||= event.kind !== "output";
    this._soon();
  }

  _step(event) {
    const changed = this.matrix.apply(event);
    if (!changed || !this.panel) return;
    const place = { target: event.target, step: event.step };
    const shown = this.matrix.cell(this.panel.place.target, this.panel.place.step);
    if (this.matrix.isBad(changed.cell)) {
      const isShown = changed.cell === shown;
      if (isShown) this.panel.preferErrors();
      // What went wrong opens by itself, the first of it, unless somebody is reading something else.
      if (!isShown && !this.panel.byReader && !this.matrix.isBad(shown)) {
        this.panel.open({ ...place, body: event.body && event.body !== "undo" ? event.body : "run" });
      }
    } else if (changed.cell.state === "running" && !this.panel.byReader && shown.state !== "running" && !this.matrix.isBad(shown)) {
      this.panel.open(place);
    }
  }

  /** Shown at once when it is quiet, else a few times a second, however much comes. */
  _soon() {
    if (this._timer) return;
    const wait = Math.max(0, this._shownAt + SHOWN_EVERY - performance.now());
    this._timer = setTimeout(() => this._flush(), wait);
  }

  _flush() {
    this._timer = 0;
    this._shownAt = performance.now();
    if (this._news) this._showNews();
    this._stand();
    if (this.head.isFinal && !this._settled) this._settle();
  }

  _showNews() {
    this._news = false;
    this.matrix.flush();
    this.story.flush();
    this.head.flush(this.matrix);
    this.panel?.flush();
    this._standing = fnv(this.matrix.digest(), 0x811c9dc5).toString(16);
  }

  /** What a test, or somebody who doubts, may read: how far this page has come. */
  _stand() {
    setData(this._root, {
      lastSeq: String(this.connection.last),
      applied: String(this._applied),
      digest: this._digest.toString(16),
      gaps: String(this.connection.gaps),
      standing: this._standing,
    });
  }

  async _settle() {
    this._settled = true;
    const word = this._root.querySelector("#live-word");
    word.textContent = "finished";
    this.panel?.settle();
    const answer = await fetch(this._root.dataset.state).catch(() => null);
    if (!answer?.ok) return;
    const state = await answer.json();
    // Exit statuses and times as stored; events after the snapshot come by themselves.
    if (state.last_seq !== this.connection.last) return;
    this.matrix.replace(state.targets);
    this._news = true;
    this._soon();
  }

  // --- The connection -----------------------------------------------------------------------------------------

  _connected(name, text) {
    this._root.dataset.connection = name;
    const banner = this._root.querySelector("#live-banner");
    if (name === "live" || name === "asking") {
      clearTimeout(this._bannerTimer);
      this._bannerTimer = 0;
      banner.hidden = true;
      this.panel?.follow();
    } else if (!this.head.isFinal || name === "gone") {
      this._root.querySelector("#live-banner-text").textContent = text;
      // What is mended sooner need not be told.
      this._bannerTimer ||= setTimeout(() => (banner.hidden = false), BANNER_AFTER);
    }
    const words = { live: "live", asking: "live, by request", waiting: "paused", gone: "stopped" };
    this._root.querySelector("#live-word").textContent = this.head.isFinal ? "finished" : words[name];
  }

  // --- What the reader does -----------------------------------------------------------------------------------

  _listen() {
    const rows = this._root.querySelector("#matrix");
    rows.addEventListener("click", (event) => {
      const link = event.target.closest("a.cell");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey || !this.panel) return;
      event.preventDefault();
      const row = link.closest(".matrix-row");
      const index = [...row.querySelectorAll("a.cell")].indexOf(link);
      this._choose({ target: row.dataset.target, step: this.matrix.steps[index].name });
    });
    for (const button of this._root.querySelectorAll("[data-filter][aria-pressed]")) {
      button.addEventListener("click", () => {
        for (const other of this._root.querySelectorAll("[data-filter][aria-pressed]")) other.setAttribute("aria-pressed", String(other === button));
        this.matrix.filter(button.dataset.filter);
      });
    }
    document.addEventListener("keydown", (event) => this._key(event));
  }

  _choose(place) {
    this.panel.open({ ...place, byReader: true });
    const log = this._root.querySelector("#log");
    if (matchMedia("(max-width: 991px)").matches) log.scrollIntoView({ block: "start" });
  }

  _key(event) {
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !this.panel) return;
    const does = {
      f: () => this.panel.view.setFollow(!this.panel.view.follow),
      End: () => this.panel.view.setFollow(true),
      w: () => this.panel.toggleWrap(),
      t: () => this.panel.toggleTimes(),
      n: () => this._failure(1),
      p: () => this._failure(-1),
    }[event.key];
    if (!does) return;
    event.preventDefault();
    does();
  }

  _failure(by) {
    const all = this.matrix.failures();
    if (!all.length) return;
    const here = all.findIndex((each) => each.target === this.panel.place.target && each.step === this.panel.place.step);
    this._choose(all[(here + by + all.length) % all.length]);
  }
}

/** A short mark of a text: equal marks on two pages mean that both have seen the same. */
function fnv(text, from) {
  let hash = from;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193) >>> 0;
  return hash;
}

const root = document.querySelector("#run");
new Page(root, JSON.parse(document.querySelector("#run-state").textContent)).start();
