/* Terminal text as pieces with classes. Colours and weights are kept; everything else a terminal would act on
   (cursor, title, links, clipboard) is dropped; what is no complete sequence is shown, so nothing can hide. */

// CSI; OSC, DCS, APC, PM and SOS with their end; single escapes.
const SEQUENCE = /\x1b(?:\[([0-?]*)[ -/]*([@-~])|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-OQ-WYZ\\`-~])/g;
// Controls, and characters that reorder or hide what stands around them.
const UNSEEN = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const BRIGHT = 8;
const LEVELS = [0, 95, 135, 175, 215, 255];
const SIXTEEN = [
  [0, 0, 0], [205, 49, 49], [13, 188, 121], [229, 229, 16], [36, 114, 200], [188, 63, 188], [17, 168, 205], [229, 229, 229],
  [102, 102, 102], [241, 76, 76], [35, 209, 139], [245, 245, 67], [59, 142, 234], [214, 112, 214], [41, 184, 219], [255, 255, 255],
];

export const PLAIN = Object.freeze({ fg: null, bg: null, bold: false, dim: false, italic: false, underline: false, strike: false, inverse: false });

/** The pieces of one line that begins in `style`: [[text, style], …]. */
export function pieces(line, style) {
  if (!line.includes("\x1b")) return line ? [[seen(line), style]] : [];
  const found = [];
  let from = 0, now = style;
  for (const match of line.matchAll(SEQUENCE)) {
    if (match.index > from) found.push([seen(line.slice(from, match.index)), now]);
    if (match[2] === "m") now = styled(now, match[1]);
    from = match.index + match[0].length;
  }
  if (from < line.length) found.push([seen(line.slice(from)), now]);
  return found;
}

/** The style after a line that begins in `style`. */
export function styleAfter(line, style) {
  if (!line.includes("\x1b[")) return style;
  let now = style;
  for (const match of line.matchAll(SEQUENCE)) if (match[2] === "m") now = styled(now, match[1]);
  return now;
}

/** How many characters are shown of a line. */
export function shownLength(line) {
  return pieces(line, PLAIN).reduce((sum, [text]) => sum + text.length, 0);
}

/** What a reader sees instead of characters that show nothing. */
function seen(text) {
  return text.replace(UNSEEN, (each) => {
    const code = each.codePointAt(0);
    if (code < 0x20) return String.fromCodePoint(0x2400 + code);
    if (code === 0x7f) return "\u2421";
    return `‹U+${code.toString(16).toUpperCase().padStart(4, "0")}›`;
  });
}

export function classesOf(style) {
  const names = [];
  let { fg, bg } = style;
  if (style.inverse) [fg, bg] = [bg === null ? "ground" : bg, fg === null ? "text" : fg];
  if (fg !== null) names.push(`ansi-fg-${fg}`);
  if (bg !== null) names.push(`ansi-bg-${bg}`);
  for (const name of ["bold", "dim", "italic", "underline", "strike"]) if (style[name]) names.push(`ansi-${name}`);
  return names.join(" ");
}

const SWITCHES = {
  1: { bold: true }, 2: { dim: true }, 3: { italic: true }, 4: { underline: true }, 7: { inverse: true }, 9: { strike: true },
  21: { underline: true }, 22: { bold: false, dim: false }, 23: { italic: false }, 24: { underline: false }, 27: { inverse: false },
  29: { strike: false }, 39: { fg: null }, 49: { bg: null },
};

/** SGR. Concealed text (8) stays visible: output must not hide from who reads it. */
function styled(style, parameters) {
  const codes = parameters.split(/[;:]/).slice(0, 64).map((each) => Number.parseInt(each || "0", 10));
  let now = style;
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at];
    if (code === 0) now = PLAIN;
    else if (SWITCHES[code]) now = { ...now, ...SWITCHES[code] };
    else if (code >= 30 && code <= 37) now = { ...now, fg: code - 30 };
    else if (code >= 40 && code <= 47) now = { ...now, bg: code - 40 };
    else if (code >= 90 && code <= 97) now = { ...now, fg: code - 90 + BRIGHT };
    else if (code >= 100 && code <= 107) now = { ...now, bg: code - 100 + BRIGHT };
    else if (code === 38 || code === 48) {
      const [colour, used] = extended(codes.slice(at + 1));
      if (colour !== null) now = { ...now, [code === 38 ? "fg" : "bg"]: colour };
      at += used;
    }
  }
  return now;
}

/** 256 colours and true colours as the nearest of the sixteen, which are readable on our ground. */
function extended(codes) {
  if (codes[0] === 5) return [indexed(codes[1] ?? 0), 2];
  if (codes[0] === 2) return [nearest(codes.slice(1, 4).map((each) => each || 0)), 4];
  return [null, codes.length];
}

function indexed(index) {
  if (index < 16) return Math.max(0, index);
  if (index > 231) return nearest(Array(3).fill(8 + 10 * (Math.min(index, 255) - 232)));
  const cube = index - 16;
  return nearest([LEVELS[Math.floor(cube / 36)], LEVELS[Math.floor(cube / 6) % 6], LEVELS[cube % 6]]);
}

function nearest([red, green, blue]) {
  let best = 7, least = Infinity;
  SIXTEEN.forEach(([r, g, b], index) => {
    const far = (r - red) ** 2 + (g - green) ** 2 + (b - blue) ** 2;
    if (far < least) [best, least] = [index, far];
  });
  return best;
}
