// Makes elements without markup. Text is always inserted as text, so no answer can add elements to the page.

const SVG = 'http://www.w3.org/2000/svg';

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'css') for (const [p, v] of Object.entries(value)) element.style.setProperty(p, v);
    else if (name === 'value') element.value = value;
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false).map((c) => (c instanceof Node ? c : String(c))));
  return element;
}

/** h makes an HTML element from attributes, on… listeners, css properties, and its children. */
export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);

/** s makes an SVG element. */
export const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

/** icon makes one of a few line drawings. It repeats what the text beside it says. */
export function icon(name) {
  const paths = {
    play: 'M5 3.5v9l7.5-4.5z', stop: 'M4 4h8v8H4z', copy: 'M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z', down: 'M8 2v8m-3.5-3.5L8 10l3.5-3.5M2.5 13.5h11',
    link: 'M6.5 9.5l3-3M7 4.5l1.2-1.2a3 3 0 0 1 4.3 4.3L11.3 8.8M9 11.5l-1.2 1.2a3 3 0 0 1-4.3-4.3L4.7 7.2', check: 'M3 8.5l3.5 3.5L13 4.5',
    warn: 'M8 2L14.5 13.5h-13zM8 6.5v3.5M8 11.8v.2', lock: 'M4 7.5h8v6H4zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5', key: 'M10.5 2.5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8.4 7.6L3 13v.500h2.5V12H7v-1.5h1.5',
  };
  return s('svg', { class: 'icon', viewBox: '0 0 16 16', width: 16, height: 16, 'aria-hidden': 'true', focusable: 'false' }, s('path', { d: paths[name] }));
}

/** wall makes the project's logo: a town within its walls. */
export const wall = () => s('svg', { class: 'wall', viewBox: '0 0 32 32', width: 30, height: 30, 'aria-hidden': 'true', focusable: 'false' },
  s('path', { class: 'wall-stone', d: 'M3 10h4v3h3v-3h4v3h4v-3h4v3h3v-3h4v18h-9v-6a4 4 0 0 0-8 0v6H3z' }),
  s('path', { class: 'wall-cross', d: 'M14.6 2.5h2.8v2.2h2.2v2.6h-2.2v2.2h-2.8V7.3h-2.2V4.7h2.2z' }));

/** debounce delays f until no call has come for that many milliseconds. */
export function debounce(f, milliseconds) {
  let timer;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => f(...args), milliseconds);
  };
}

/** save downloads a file to the reader's computer. */
export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  const a = h('a', { href: url, download: name });
  document.body.append(a);
  a.click();
  a.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** say announces a text to screen readers. */
export function say(text) {
  const region = document.getElementById('say');
  if (region) region.textContent = text;
}
