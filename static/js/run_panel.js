/* The log panel: which step of which target is looked at, both its streams, and how they are shown. */

import { setAttribute, setData, setHidden, setText } from "./run_elements.js";
import { LogView } from "./run_log.js";
import { Output } from "./run_output.js";

const STREAMS = ["stdout", "stderr"];
const CLOCK = { hour12: false, hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 1 };

export class Panel {
  constructor(root, { matrix, connection, head, addresses }) {
    Object.assign(this, { root, _matrix: matrix, _connection: connection, _head: head, _addresses: addresses });
    this._outputs = [];
    this._times = null;
    this._find = (selector) => root.querySelector(selector);
    this._find("#log-plain").hidden = true;
    const live = this._find("#log-live");
    live.hidden = false;
    this.view = new LogView(live, {
      label: "Output",
      changed: (on) => this._find("#log-follow").setAttribute("aria-pressed", String(on)),
      marked: (from, to) => this._remember(`#L${from}${to > from ? `-L${to}` : ""}`),
    });
    this._find("#log-follow").addEventListener("click", () => this.view.setFollow(!this.view.follow));
    this._find("#log-wrap").addEventListener("click", () => this.toggleWrap());
    this._find("#log-times").addEventListener("click", () => this.toggleTimes());
  }

  /** Look at this place; `byReader`: somebody chose it, so nothing else opens by itself any more. */
  open({ target, step, body, stream, lines = null, byReader = false }) {
    this.byReader ||= byReader;
    this.streamChosen = Boolean(stream);
    this.place = { target, step, body: body ?? "run", stream: stream ?? "stdout" };
    this._wanted = lines;
    // Somebody who came to a line of stdout stays there.
    this._preferred = lines !== null;
    this._outputs.forEach((output) => output.close());
    this._connection.watch(null);
    this._outputs = STREAMS.map(
      (name) =>
        new Output({
          place: { target, step, body: this.place.body, stream: name },
          address: this._addresses.output,
          connection: this._connection,
          grew: (output) => this._grew(output),
        }),
    );
    this._matrix.choose(target, step);
    this._showStream();
    this.follow();
    this.flush();
    if (byReader) this._remember("");
  }

  get shown() {
    return this._outputs[STREAMS.indexOf(this.place.stream)];
  }

  /** Begin to read, or go on after the connection came or went. */
  follow() {
    for (const output of this._outputs) output.follow({ final: this._head.isFinal });
  }

  bytes(frame) {
    this._outputs.find((output) => output.isOf(frame))?.take(frame);
  }

  /** An event told that there is more; by the socket it comes by itself. */
  told(event) {
    const output = this._outputs.find((each) => each.isOf(event));
    if (!output) return;
    if (this._times && event.stream === this.place.stream) {
      if (event.offset === 0) this._times = [];
      this._times.push([event.offset, event.length, event.at]);
    }
    if (!this._connection.isLive) output.pull();
  }

  /** The run is over: what the socket has not brought is fetched. */
  settle() {
    for (const output of this._outputs) if (!output.complete) output.pull();
  }

  _grew(output) {
    if (!this._outputs.includes(output)) return;
    this._preferFilled(output);
    this.preferErrors();
    if (output === this.shown) {
      this.view.grew();
      if (output.isCatchingUp) this.view.notNew();
      this._empty();
      if (this._wanted && this.view.pointAt(...this._wanted)) this._wanted = null;
    }
    this._tabsSoon();
  }

  _switchTo(stream) {
    this.place.stream = stream;
    this._showStream();
  }

  /** What has come is shown, stdout before stderr, also when stderr was first. */
  _preferFilled(output) {
    if (this.streamChosen || this._preferred || output.lines.count === 0) return;
    const isBetter = this.shown.lines.count === 0 || output.place.stream === "stdout";
    if (output !== this.shown && isBetter) this._switchTo(output.place.stream);
  }

  /** A step that went wrong mostly says why on stderr. */
  preferErrors() {
    const cell = this._matrix.cell(this.place.target, this.place.step);
    const errors = this._outputs[1];
    if (this.streamChosen || this._preferred || !this._matrix.isBad(cell) || errors.lines.count === 0) return;
    this._preferred = true;
    if (this.place.stream === "stdout") this._switchTo("stderr");
  }

  _showStream() {
    this.view.show(this.shown.lines, "");
    this._empty();
    if (this.view.times) this._loadTimes();
    this._find("#log-raw").href = `${this._addresses.output}?${new URLSearchParams(this.place)}`;
    this._tabs();
  }

  _empty() {
    const cell = this._matrix.cell(this.place.target, this.place.step);
    const { complete, failed } = this.shown;
    const waiting = cell?.state === "pending" ? "It has not started." : "No output so far.";
    this.view.say(failed || (complete ? `No output on ${this.place.stream}.` : waiting));
  }

  _remember(hash) {
    const query = new URLSearchParams({ target: this.place.target, step: this.place.step });
    if (this.place.body !== "run") query.set("body", this.place.body);
    if (this.streamChosen || hash) query.set("stream", this.place.stream);
    history.replaceState(null, "", `?${query}${hash}`);
  }

  // --- What stands above the lines ----------------------------------------------------------------------------

  flush() {
    const cell = this._matrix.cell(this.place.target, this.place.step);
    if (!cell) return;
    setData(this.root, { target: this.place.target, step: this.place.step, body: this.place.body });
    setText(this._find("#log-target"), this.place.target);
    setText(this._find("#log-step"), this.place.step);
    const state = this._find("#log-state");
    setData(state, { look: this._matrix.look(cell) });
    setText(state, `${this._matrix.symbol(cell)} ${this._matrix.words(cell)}`);
    const message = this._find("#log-message");
    setText(message, cell.message ?? "");
    setHidden(message, !cell.message);
    this._empty();
    this._bodies();
  }

  _bodies() {
    const { bodies } = this._matrix.steps.find((step) => step.name === this.place.step);
    this._group("#log-bodies", bodies.length > 1 ? bodies : [], this.place.body, (body) => [body, () => this.open({ ...this.place, body, stream: null, byReader: true })]);
  }

  _tabsSoon() {
    this._tabsTimer ??= setTimeout(() => {
      this._tabsTimer = null;
      this._tabs();
    }, 200);
  }

  _tabs() {
    this._group("#log-streams", STREAMS, this.place.stream, (stream) => {
      const { count } = this._outputs[STREAMS.indexOf(stream)].lines;
      return [count ? `${stream} ${count.toLocaleString()}` : stream, () => this._chooseStream(stream)];
    });
  }

  _chooseStream(stream) {
    this.streamChosen = this.byReader = true;
    this._switchTo(stream);
    this._remember("");
  }

  /** Buttons of a group, made once for each name so that focus stays where it is. */
  _group(selector, names, current, of) {
    const group = this._find(selector);
    if ([...group.children].map((each) => each.dataset.name).join() !== names.join()) {
      group.replaceChildren(
        ...names.map((name) => {
          const button = document.createElement("button");
          Object.assign(button, { type: "button", className: "btn btn-sm" });
          button.dataset.name = name;
          button.addEventListener("click", () => of(name)[1]());
          return button;
        }),
      );
    }
    setHidden(group, names.length === 0);
    for (const button of group.children) {
      const [text] = of(button.dataset.name);
      setText(button, text);
      setAttribute(button, "aria-pressed", String(button.dataset.name === current));
    }
  }

  // --- How the lines are shown ----------------------------------------------------------------------------------

  toggleWrap() {
    this.view.setWrap(!this.view.wrap);
    this._find("#log-wrap").setAttribute("aria-pressed", String(this.view.wrap));
  }

  toggleTimes() {
    const on = !this.view.times;
    this._find("#log-times").setAttribute("aria-pressed", String(on));
    if (on) this._loadTimes();
    else {
      this._times = null;
      this.view.setTimes(null);
    }
  }

  async _loadTimes() {
    this._times = [];
    this.view.setTimes((offset) => this._timeOf(offset));
    const { place } = this;
    const answer = await fetch(`${this._addresses.times}?${new URLSearchParams(place)}`);
    if (!answer.ok || place !== this.place || !this._times) return;
    const { times } = await answer.json();
    const known = times.at(-1)?.[1] ?? 0;
    this._times = [...times, ...this._times.filter(([from]) => from >= known)];
    this.view.setTimes((offset) => this._timeOf(offset));
  }

  /** When the piece of output came in which a line begins. */
  _timeOf(offset) {
    let low = 0, high = this._times.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this._times[middle][1] > offset) high = middle;
      else low = middle + 1;
    }
    const found = this._times[low];
    if (!found || found[0] > offset || found[1] <= offset) return "";
    return new Date(found[2]).toLocaleTimeString([], CLOCK);
  }
}
