// A stand-in for the few parts of a browser's document that the page's tables use.

export class Element {
  constructor(tag) { Object.assign(this, { tag, parent: null, children: [], words: "", className: "", dataset: {}, listeners: {} }); }

  get textContent() { return this.children.length ? this.children.map((one) => one.textContent).join("") : this.words; }
  set textContent(words) { this.replaceChildren(); this.words = words; }
  get firstElementChild() { return this.children[0] ?? null; }
  get nextElementSibling() { return this.parent?.children[this.parent.children.indexOf(this) + 1] ?? null; }
  get rows() { return this.children; }
  get cells() { return this.children; }

  insertBefore(made, next) {
    made.remove();
    this.children.splice(next ? this.children.indexOf(next) : this.children.length, 0, made);
    made.parent = this;
    return made;
  }
  append(...made) { made.forEach((one) => this.insertBefore(one, null)); }
  replaceChildren(...made) { [...this.children].forEach((one) => one.remove()); this.append(...made); }
  remove() { if (this.parent) this.parent.children = this.parent.children.filter((one) => one !== this); this.parent = null; }
  insertRow() { return this.insertBefore(new Element("tr"), null); }
  insertCell() { return this.insertBefore(new Element("td"), null); }
  deleteRow() { this.children.at(-1).remove(); }
  contains(one) { return this === one || this.children.some((child) => child.contains(one)); }
  closest(tag) { return this.tag === tag ? this : this.parent?.closest(tag) ?? null; }
  querySelector(name) { return this.children.map((one) => ([`.${one.className}`, one.tag].includes(name) ? one : one.querySelector(name))).find(Boolean) ?? null; }
  addEventListener(name, listener) { this.listeners[name] = listener; }
  setAttribute() {}
}

const byId = {};
globalThis.document = {
  activeElement: null,
  getElementById: (id) => (byId[id] ??= new Element("tbody")),
  createElement: (tag) => new Element(tag),
  querySelector: () => null,
};
globalThis.sessionStorage = { getItem: () => "" };
