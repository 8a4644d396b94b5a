// Two languages. The browser's language holds until the reader chooses. Each console has its own table
// of messages. Numbers and times follow the language.

const KEY = 'intramuros.language';
export const languages = ['en', 'fr'];

function preferred() {
  let chosen = null;
  try { chosen = localStorage.getItem(KEY); } catch { /* no storage: the browser's language holds */ }
  if (languages.includes(chosen)) return chosen;
  for (const l of navigator.languages || []) {
    const short = l.slice(0, 2).toLowerCase();
    if (languages.includes(short)) return short;
  }
  return 'en';
}

let current = preferred();
let table = {};

/** load sets the table of messages: {key: [English, French]}. */
export function load(messages) {
  table = messages;
  document.documentElement.lang = current;
}

export const language = () => current;

export function choose(l) {
  current = l;
  document.documentElement.lang = l;
  try { localStorage.setItem(KEY, l); } catch { /* no storage: the choice lasts until the page is closed */ }
}

/** t returns a message with each {name} filled in. */
export function t(key, values) {
  const pair = table[key];
  if (!pair) return key;
  return pair[languages.indexOf(current)].replace(/\{(\w+)\}/g, (_, name) => (values && values[name] !== undefined ? values[name] : ''));
}

export const has = (key) => key in table;

/** locale returns the shown language as the reader's country writes it, for numbers and times. */
const locale = () => (navigator.languages || []).find((l) => l.slice(0, 2).toLowerCase() === current) || current;

/** number formats a number for people: four significant digits, unless it is whole. */
export function number(x, options) {
  if (x === null || x === undefined || Number.isNaN(Number(x))) return '–';
  const v = Number(x);
  if (!Number.isFinite(v)) return v < 0 ? '−∞' : '∞';
  if (!options && v !== 0 && (Math.abs(v) >= 1e9 || Math.abs(v) < 1e-4)) {
    const [digits, power] = v.toExponential(1).split('e');
    const raised = [...power.replace('+', '')].map((c) => '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'['-0123456789'.indexOf(c)]).join('');
    return digits === '1.0' ? `10${raised}` : `${number(Number(digits))}·10${raised}`;
  }
  return new Intl.NumberFormat(locale(), options || (Number.isInteger(v) ? {} : { maximumSignificantDigits: 4 })).format(v);
}

export const percent = (x, digits = 1) => new Intl.NumberFormat(locale(), { style: 'percent', maximumFractionDigits: digits }).format(x);

export const time = (x) => new Intl.DateTimeFormat(locale(), { dateStyle: 'medium', timeStyle: 'short' }).format(new Date(x));

export const day = (x) => new Intl.DateTimeFormat(locale(), { dateStyle: 'long', timeZone: 'UTC' }).format(new Date(x));
