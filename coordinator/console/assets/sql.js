// SQL for the editor: tokens for colours and names for completion. Only the coordinator knows what a
// text means and whether it can be answered.

import { functions, words as KEYWORDS } from './words.js'; // the coordinator generates it from the planner's tables

const keywords = new Set(KEYWORDS);
const names = new Set(Object.keys(functions).map((f) => f.toLowerCase()));
const TOKEN = /(--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|('(?:[^']|'')*(?:'|$))|("(?:[^"]|"")*(?:"|$)|`[^`]*(?:`|$))|((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|([\p{L}_][\p{L}\p{N}_$]*)|(\s+)|([\s\S])/gu;
const KINDS = [null, 'note', 'string', 'quoted', 'number', 'word', 'space', 'sign'];

/** tokens splits a text into {kind, text, at}: kind is note, string, quoted, number, keyword, function, name, space or sign. */
export function tokens(text) {
  const all = [];
  for (const m of text.matchAll(TOKEN)) {
    let kind = KINDS[m.slice(1).findIndex((g) => g !== undefined) + 1];
    if (kind === 'word') {
      const word = m[0].toLowerCase();
      const called = /^\s*\(/.test(text.slice(m.index + m[0].length));
      if (names.has(word) && called) kind = 'function';
      else if (keywords.has(word)) kind = 'keyword';
      else kind = called ? 'function' : 'name';
    }
    all.push({ kind, text: m[0], at: m.index });
  }
  return all;
}

/** unitAt converts an offset in UTF-8 bytes into an offset in UTF-16 units. */
export function unitAt(text, bytes) {
  let at = 0;
  for (const c of text) {
    if (bytes <= 0) break;
    const code = c.codePointAt(0);
    bytes -= code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    at += c.length;
  }
  return at;
}

/** mentioned finds the tables of a query. It maps names and aliases, in lower case, to tables. */
export function mentioned(text, tables) {
  const byName = new Map(tables.map((table) => [table.name.toLowerCase(), table]));
  const words = tokens(text).filter((x) => x.kind !== 'space' && x.kind !== 'note');
  const found = new Map();
  words.forEach((w, i) => {
    const table = w.kind === 'name' && byName.get(w.text.toLowerCase());
    if (!table || i === 0 || !/^(from|join|,)$/i.test(words[i - 1].text)) return;
    found.set(table.name.toLowerCase(), table);
    const next = words[i + 1] && words[i + 1].text.toLowerCase() === 'as' ? words[i + 2] : words[i + 1];
    if (next && next.kind === 'name') found.set(next.text.toLowerCase(), table);
  });
  return found;
}

/** bounds writes the domain or the bounds of a column. */
export function bounds(column) {
  if (column.domain) return column.domain.length > 4 ? `{${column.domain.slice(0, 3).join(', ')}, … ${column.domain.length}}` : `{${column.domain.join(', ')}}`;
  if (column.lower !== null || column.upper !== null) return `[${column.lower ?? '−∞'}, ${column.upper ?? '∞'}]`;
  return '';
}

const SHOWN = 40;

/** complete returns completions for a place in a text: {from, options: [{text, kind, detail}]}. */
export function complete(text, at, tables) {
  const before = text.slice(0, at);
  if (tokens(before).some((x) => (x.kind === 'note' || x.kind === 'string') && x.at + x.text.length === at && !/\*\/$|^'.*'$/s.test(x.text))) return { from: at, options: [] };
  const [, qualifier, prefix] = before.match(/(?:([\p{L}_][\p{L}\p{N}_$]*)\.)?([\p{L}_][\p{L}\p{N}_$]*)?$/u);
  const typed = (prefix || '').toLowerCase();
  const from = at - typed.length;
  const here = mentioned(text, tables);
  const columnsOf = (table) => table.columns.map((c) => ({ text: c.name, kind: 'column', detail: [c.type, bounds(c)].filter(Boolean).join(' '), table: table.name }));
  const asTables = () => tables.map((x) => ({ text: x.name, kind: 'table', detail: x.description }));
  let options;
  if (qualifier !== undefined) options = here.has(qualifier.toLowerCase()) ? columnsOf(here.get(qualifier.toLowerCase())) : [];
  else if (/\b(from|join)\s+$/i.test(before.slice(0, from)) || /\bfrom\b[^()]*,\s*$/i.test(before.slice(0, from).split(/\b(?:where|group|order|having|on)\b/i).pop())) options = asTables();
  else {
    const seen = new Set();
    options = [...new Set(here.values())].flatMap(columnsOf).filter((o) => !seen.has(o.text) && seen.add(o.text));
    if (typed) {
      options.push(...Object.entries(functions).map(([name, inside]) => ({ text: `${name}(`, kind: 'function', detail: `${name}(${inside})` })));
      options.push(...KEYWORDS.map((k) => ({ text: k.toUpperCase(), kind: 'keyword', detail: '' })), ...asTables(), { text: 'hospital', kind: 'column', detail: 'text' }, { text: 'patient', kind: 'column', detail: '' });
    }
  }
  const begins = options.filter((o) => o.text.toLowerCase().startsWith(typed));
  const within = typed.length < 2 ? [] : options.filter((o) => !o.text.toLowerCase().startsWith(typed) && o.text.toLowerCase().includes(typed) && o.kind !== 'keyword');
  const unique = new Map([...begins, ...within].map((o) => [`${o.kind} ${o.text}`, o]));
  return { from, options: [...unique.values()].slice(0, SHOWN) };
}
