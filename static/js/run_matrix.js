/* Targets × steps: what is known of each cell, and the rows that show it. */

import { setAttribute, setData, setHidden, setText } from "./run_elements.js";

const DONE = ["failed", "ok", "stopped"];
const BAR = ["ok", "failed", "stopped", "running"];

export class Matrix {
  constructor(state, root) {
    Object.assign(this, { _looks: state.looks, _bad: new Set(state.bad), _harmless: new Set(state.harmless), _ranks: state.ranks, steps: state.steps });
    this._root = root;
    this._body = root.querySelector("#matrix-rows");
    const rows = new Map([...this._body.querySelectorAll(".matrix-row")].map((row) => [row.dataset.target, row]));
    this.targets = state.targets.map((target) => ({ ...target, row: rows.get(target.name), rank: rows.get(target.name).dataset.rank }));
    this._byName = new Map(this.targets.map((target) => [target.name, target]));
    this._stepAt = new Map(state.steps.map((step, index) => [step.name, index]));
    this._dirty = new Set();
    this._links = new Map();
    this.chosen = null;
  }

  cell(target, step) {
    return this._byName.get(target)?.cells[this._stepAt.get(step)];
  }

  isBad(cell) {
    return this._bad.has(cell.state) || cell.undone !== undefined;
  }

  look(cell) {
    return cell.undone === true ? "undone" : cell.state;
  }

  words(cell) {
    const doing = cell.doing && cell.state === "running" ? `, ${cell.doing} under way` : cell.doing === "undo" ? ", being undone" : "";
    const code = cell.exit_code ? `, exit status ${cell.exit_code}` : "";
    return `${this._looks[this.look(cell)]?.[1] ?? cell.state}${code}${doing}`;
  }

  symbol(cell) {
    return this._looks[this.look(cell)]?.[0] ?? "?";
  }

  /** Take an event of a step; the cell it changed, with its target, or null. */
  apply(event) {
    const target = this._byName.get(event.target);
    const index = this._stepAt.get(event.step);
    if (!target || index === undefined) return null;
    const cell = target.cells[index];
    this._change(cell, event, this.steps[index]);
    this._dirty.add(target);
    return { target, cell, index };
  }

  _change(cell, event, step) {
    const { state, body } = event;
    if (state === "undone" || state === "undo_failed") {
      cell.undone = state === "undone";
      cell.doing = "";
    } else if (body === "undo" || (body === "verify" && cell.undoing)) {
      // Facts beside the state: what went wrong stays what it is while it is undone.
      cell.undoing = true;
      cell.doing = state === "running" ? "undo" : "";
    } else if (state === "running") {
      cell.state = state;
      cell.doing = body && body !== "run" ? body : "";
      cell.started ??= event.at;
    } else if (body === "run" && state === "succeeded" && cell.state === "running" && step.bodies.includes("verify")) {
      cell.doing = "verify";
    } else {
      Object.assign(cell, { state, code: event.code ?? "", message: event.message ?? "", doing: "" });
      cell.finished = event.at;
    }
  }

  /** Everything anew, from a snapshot. */
  replace(targets) {
    for (const { name, cells } of targets) {
      const target = this._byName.get(name);
      target.cells = cells;
      this._dirty.add(target);
    }
  }

  _rank(target) {
    const { cells } = target;
    if (cells.some((cell) => this.isBad(cell))) return "failed";
    if (cells.some((cell) => cell.state === "running")) return "running";
    const stopped = (cell) => cell.state === "cancelled" || (cell.state === "skipped" && !this._harmless.has(cell.code));
    if (cells.some(stopped)) return "stopped";
    if (!cells.some((cell) => cell.state === "pending")) return "ok";
    return cells.some((cell) => cell.state === "succeeded") ? "running" : "waiting";
  }

  /** Show what has changed since the last time. */
  flush() {
    let moved = false;
    for (const target of this._dirty) {
      target.cells.forEach((cell, index) => this._show(target, cell, index));
      const rank = this._rank(target);
      if (rank !== target.rank) {
        target.rank = target.row.dataset.rank = rank;
        moved = true;
      }
    }
    this._dirty.clear();
    if (moved) this._sort();
    this.showTimes();
  }

  _show(target, cell, index) {
    const link = this._link(target, index);
    const look = this.look(cell);
    if (link.dataset.look !== look) {
      link.dataset.look = look;
      link.textContent = this.symbol(cell);
    }
    setData(link, { doing: cell.doing ?? "" });
    const label = `${target.name}, step ${index + 1} ${this.steps[index].name}: ${this.words(cell)}`;
    setAttribute(link, "aria-label", label);
  }

  _link(target, index) {
    let links = this._links.get(target);
    if (!links) this._links.set(target, (links = target.row.querySelectorAll("a.cell")));
    return links[index];
  }

  _sort() {
    const order = [...this.targets].sort((a, b) => this._ranks.indexOf(a.rank) - this._ranks.indexOf(b.rank) || a.position - b.position);
    const focused = this._body.contains(document.activeElement) ? document.activeElement : null;
    let at = this._body.firstElementChild;
    for (const { row } of order) {
      if (row === at) at = at.nextElementSibling;
      else this._body.insertBefore(row, at);
    }
    focused?.focus({ preventScroll: true });
  }

  /** From a target's first start to its last end, or to now. */
  showTimes() {
    for (const target of this.targets) {
      const starts = target.cells.filter((cell) => cell.started).map((cell) => Date.parse(cell.started));
      if (!starts.length) continue;
      const running = target.rank === "running";
      if (!running && target.timed === target.rank) continue;
      target.timed = target.rank;
      const ends = target.cells.filter((cell) => cell.started && cell.finished).map((cell) => Date.parse(cell.finished));
      const end = running || !ends.length ? Date.now() : Math.max(...ends);
      setText(target.row.querySelector(".matrix-time"), lasting((end - Math.min(...starts)) / 1000));
    }
  }

  counts() {
    const counts = Object.fromEntries(this._ranks.map((rank) => [rank, 0]));
    for (const target of this.targets) counts[target.rank] += 1;
    return counts;
  }

  /** Segments of the progress bar in percent: [rank, start, width]. */
  segments() {
    const counts = this.counts();
    let start = 0;
    return BAR.map((rank) => {
      const segment = [rank, start, (100 * counts[rank]) / Math.max(1, this.targets.length)];
      start += segment[2];
      return segment;
    });
  }

  done() {
    const counts = this.counts();
    return DONE.reduce((sum, rank) => sum + counts[rank], 0);
  }

  filter(which) {
    this._root.dataset.filter = which;
    this.showNone();
  }

  showNone() {
    const which = this._root.dataset.filter;
    setHidden(this._root.querySelector("#matrix-none"), which === "all" || this.counts()[which] > 0);
  }

  choose(target, step) {
    this._root.querySelector(".cell[aria-current]")?.removeAttribute("aria-current");
    const index = this._stepAt.get(step);
    this._link(this._byName.get(target), index)?.setAttribute("aria-current", "true");
  }

  /** The first cell in the order shown for which `test` holds. */
  first(test) {
    const order = [...this._body.children].map((row) => this._byName.get(row.dataset.target));
    for (const target of order) {
      const index = target.cells.findIndex(test);
      if (index >= 0) return { target: target.name, step: this.steps[index].name };
    }
    return null;
  }

  /** Every bad cell, in the order shown. */
  failures() {
    const order = [...this._body.children].map((row) => this._byName.get(row.dataset.target));
    return order.flatMap((target) =>
      target.cells.map((cell, index) => [cell, { target: target.name, step: this.steps[index].name }]).filter(([cell]) => this.isBad(cell)).map(([, place]) => place),
    );
  }

  /** All states as one text: equal on every page that has come equally far. */
  digest() {
    return this.targets.map((target) => `${target.name}:${target.cells.map((cell) => `${cell.state}/${cell.undone ?? ""}`).join(",")}`).join("\n");
  }
}

export function lasting(seconds) {
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`;
}
