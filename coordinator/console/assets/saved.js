// Questions that the reader keeps by name in this browser: texts and settings, never answers. They can be saved to a
// file for another browser or a colleague. Reading such a file runs none of its questions.

import { h, icon, save, say } from './dom.js';
import { t, time } from './language.js';

const MOST = 500;
const LONGEST = 262144; // the most characters of a question, as for a link
const KIND = 'intramuros saved questions';

/** clean returns a question that the editor can take, or null. A file may contain anything. */
function clean(x) {
  if (!x || typeof x.name !== 'string' || !x.name.trim() || typeof x.sql !== 'string' || !x.sql.trim() || x.sql.length > LONGEST) return null;
  const q = { name: x.name.trim().slice(0, 120), sql: x.sql, time: Number(x.time) || Date.now() };
  if (typeof x.study === 'string') q.study = x.study;
  if (typeof x.accuracy === 'string' || Number(x.accuracy) > 0) q.accuracy = x.accuracy;
  for (const name of ['epsilon', 'max_groups', 'max_rows']) if (Number(x[name]) > 0) q[name] = Number(x[name]);
  return q;
}

/** Saved holds the questions kept in this browser, the newest first. */
export class Saved {
  constructor(federation, researcher) {
    this.key = `intramuros.saved.${federation}.${researcher}`;
  }

  all() {
    try { return (JSON.parse(localStorage.getItem(this.key)) || []).map(clean).filter(Boolean); } catch { return []; }
  }

  /** put keeps questions. Each replaces the one with its name. It reports whether there was room. */
  put(questions) {
    const names = new Set(questions.map((q) => q.name));
    try {
      localStorage.setItem(this.key, JSON.stringify([...questions, ...this.all().filter((q) => !names.has(q.name))].slice(0, MOST)));
      return true;
    } catch { return false; }
  }

  remove(name) { localStorage.setItem(this.key, JSON.stringify(this.all().filter((q) => q.name !== name))); }

  file() { return new Blob([JSON.stringify({ kind: KIND, questions: this.all() }, null, 2)], { type: 'application/json' }); }

  /** take reads a file of questions and returns how many it kept. It throws if the file has another form. */
  take(text) {
    const file = JSON.parse(text);
    if (!file || file.kind !== KIND || !Array.isArray(file.questions)) throw new Error('another file');
    const own = new Map(this.all().map((q) => [q.name, q.sql]));
    const taken = file.questions.slice(0, MOST).map(clean).filter(Boolean);
    for (const q of taken) { // a file never replaces the reader's own question
      const name = q.name;
      for (let i = 2; own.has(q.name) && own.get(q.name) !== q.sql; i++) q.name = `${name} (${i})`;
      own.set(q.name, q.sql);
    }
    return this.put(taken) ? taken.length : 0;
  }
}

/** keep asks for a name and keeps the question under it. */
export function keep(saved, request, done) {
  const field = h('input', { type: 'text', id: 'save-name', required: true, maxlength: 120, autocomplete: 'off' });
  const box = h('dialog', { class: 'narrow', 'aria-labelledby': 'save-title', onclose: () => box.remove() },
    h('h2', { id: 'save-title' }, t('saved.keep')), h('p', { class: 'muted small' }, t('saved.words')),
    h('form', { class: 'stack', onsubmit: (e) => {
      e.preventDefault();
      const q = clean({ ...request, name: field.value });
      if (!q) return;
      const kept = saved.put([q]);
      box.close();
      done(t(kept ? 'saved.kept' : 'saved.full', q));
    } }, h('label', { for: 'save-name' }, t('saved.name')), field,
    h('div', { class: 'row' }, h('button', { type: 'submit', class: 'main' }, t('saved.save')), h('button', { type: 'button', onclick: () => box.close() }, t('app.close')))));
  document.body.append(box);
  box.showModal();
  field.focus();
}

/** list makes the card of kept questions. open puts a question into the editor, and again draws the page anew. */
export function list(saved, open, again) {
  const all = saved.all();
  const said = h('p', { class: 'small', role: 'status' });
  const chosen = h('input', { type: 'file', accept: 'application/json,.json', class: 'unseen', tabindex: -1, 'aria-hidden': 'true', onchange: async () => {
    try {
      const n = saved.take(await chosen.files[0].text());
      again();
      say(t('saved.took', { n }));
    } catch { said.textContent = t('saved.notOurs'); }
  } });
  return h('section', { class: 'stack', 'aria-labelledby': 'saved-title' },
    h('div', { class: 'row' }, h('h2', { id: 'saved-title' }, t('saved.title')), h('div', { class: 'row right' }, chosen,
      h('button', { type: 'button', onclick: () => chosen.click() }, t('saved.import')),
      h('button', { type: 'button', disabled: !all.length, onclick: () => save(saved.file(), 'intramuros-questions.json') }, icon('down'), t('saved.export')))),
    said,
    all.length ? h('ol', { class: 'past' }, all.map((q) => h('li', { class: 'card' }, h('h3', {}, q.name), h('pre', { class: 'mono' }, q.sql), h('div', { class: 'row small muted' }, h('span', {}, time(q.time)), q.study ? h('span', { class: 'chip' }, q.study) : '',
      h('div', { class: 'row right' }, h('button', { type: 'button', 'aria-label': `${t('saved.remove')}: ${q.name}`, onclick: () => { saved.remove(q.name); again(); } }, t('saved.remove')),
        h('button', { type: 'button', 'aria-label': `${t('past.open')}: ${q.name}`, onclick: () => open(q) }, t('past.open'))))))) : h('p', { class: 'muted' }, t('saved.none')));
}
