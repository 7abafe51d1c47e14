/* Elements made, and written to only where something differs: a browser styles anew also what was set as it was. */

export function element(name, classes = "", attributes = {}, text = "") {
  const made = document.createElement(name);
  if (classes) made.className = classes;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setHidden(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

export function setData(node, values) {
  for (const [key, value] of Object.entries(values)) {
    if (node.dataset[key] !== value) node.dataset[key] = value;
  }
}
