// The custodian's console.

import { h, icon, s, say, wall } from './dom.js';
import { choose, day, has, language, load, number, percent, t, time } from './language.js';
import { messages } from './messages.js';
import { openKey, said, sign } from './sign.js';

load(messages);
const TOKEN = 'intramuros.custodian';
const app = document.getElementById('app');
let state = null; // {standing, entries, next, kind, study, checked}

class Refusal extends Error {
  constructor(status, body) {
    super(body.message);
    Object.assign(this, body, { status });
  }
}

async function send(method, path, body) {
  let response;
  try {
    response = await fetch(path, {
      method, cache: 'no-store', credentials: 'omit', redirect: 'error',
      headers: { Authorization: `Bearer ${sessionStorage.getItem(TOKEN) || ''}`, ...(body ? { 'Content-Type': 'application/json' } : {}) },
      body: body ? JSON.stringify(body) : undefined,
    });
  } catch {
    throw new Refusal(0, { code: 'UNREACHABLE', message: '' });
  }
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  if (response.status === 401 && state) leave();
  throw new Refusal(response.status, (answer && answer.error) || { code: 'INTERNAL', message: String(response.status) });
}

const problem = (error) => h('div', { class: 'notice bad', role: 'alert' }, icon('warn'), h('div', {}, h('strong', {}, has(`error.${error.code}`) ? t(`error.${error.code}`) : error.code || error.name), h('div', { lang: 'en' }, error.message)));
const bad = (words) => h('div', { class: 'notice bad', role: 'alert' }, icon('warn'), h('span', {}, words));
const languageButton = () => h('button', { type: 'button', class: 'quiet', lang: language() === 'en' ? 'fr' : 'en', onclick: () => { choose(language() === 'en' ? 'fr' : 'en'); render(); } }, t('app.language'));

function meter(spent) {
  return s('svg', { class: 'meter', viewBox: '0 0 1000 12', preserveAspectRatio: 'none', role: 'img', 'aria-label': t('head.meter', { spent: percent(spent) }) }, s('rect', { class: 'left', width: 1000 * Math.max(0, 1 - spent), height: 12 }));
}

function login(error) {
  document.title = `${t('login.title')} · Intramuros`;
  const field = h('input', { id: 'token', type: 'password', autocomplete: 'current-password', required: true, 'aria-describedby': 'token-help' });
  const place = h('div', {}, error || '');
  app.replaceChildren(h('div', { class: 'login' }, h('main', { id: 'main', class: 'card' }, h('div', { class: 'row' }, h('span', { class: 'brand' }, wall(), 'Intramuros'), h('span', { class: 'right' }, languageButton())),
    h('h1', {}, t('login.title')), h('p', { class: 'muted' }, t('login.words')),
    h('form', { onsubmit: async (e) => {
      e.preventDefault();
      sessionStorage.setItem(TOKEN, field.value.trim());
      await enter(place);
    } }, h('label', { for: 'token' }, t('login.token')), field, h('p', { id: 'token-help', class: 'muted small' }, t('login.help')), h('button', { class: 'main', type: 'submit' }, t('login.go')), place))));
  field.focus();
}

async function enter(place) {
  try {
    const standing = await send('GET', '/v1/standing');
    state = { standing, entries: [], next: 0, kind: '', study: '', checked: null };
    await entries(false);
    render();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const words = error.status === 401 ? bad(t('login.wrong')) : problem(error);
    if (place) place.replaceChildren(words);
    else login(error.status === 401 ? '' : words);
  }
}

function leave() {
  sessionStorage.removeItem(TOKEN);
  state = null;
  login();
}

async function entries(more) {
  const query = new URLSearchParams();
  if (more) query.set('before', state.next);
  if (state.kind) query.set('kind', state.kind);
  if (state.study) query.set('study', state.study);
  const answer = await send('GET', `/v1/entries?${query}`);
  state.entries = more ? [...state.entries, ...answer.entries] : answer.entries;
  state.next = answer.next;
}

/** settled shows how the node stands after something was done. */
async function settled(standing, words) {
  state.standing = standing;
  await entries(false);
  render();
  say(words);
}

// A box in front of the page, which the keyboard cannot leave but by closing it.
function box(title, ...content) {
  const dialog = h('dialog', { 'aria-labelledby': 'box-title', onclose: () => dialog.remove() }, h('h2', { id: 'box-title' }, title), content);
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

function stop() {
  const reason = h('input', { type: 'text', id: 'hold-reason', maxlength: 300 });
  const place = h('div', {});
  const go = h('button', { type: 'button', class: 'danger', onclick: async () => {
    try {
      const standing = await send('POST', '/v1/hold', { on: true, reason: reason.value });
      dialog.close();
      await settled(standing, t('hold.done'));
    } catch (error) { place.replaceChildren(problem(error)); }
  } }, icon('stop'), t('hold.stop'));
  const dialog = box(t('hold.sure'), h('p', { class: 'muted' }, t('hold.words')), h('div', { class: 'form' }, h('label', { class: 'wide', for: 'hold-reason' }, t('hold.why'), reason)), place,
    h('div', { class: 'row' }, go, h('button', { type: 'button', onclick: () => dialog.close() }, t('app.cancel'))));
}

async function release(place) {
  try {
    await settled(await send('POST', '/v1/hold', { on: false, reason: '' }), t('hold.released'));
  } catch (error) { place.replaceChildren(problem(error)); }
}

/** least is the least price of a release, as the node reads a document. */
const least = (d) => d.min_epsilon || Math.min(0.01, d.max_epsilon);

/** terms are a study's document in plain words. */
function terms(d) {
  const tables = Object.entries(d.tables).map(([name, columns]) => `${name === '*' ? t('term.allTables') : name} (${columns.map((c) => (c === '*' ? t('term.allColumns') : c)).join(', ')})`);
  const lines = [
    ['term.purpose', d.purpose], ['term.legal', d.legal_basis], ['term.who', d.investigators.map((x) => (x === '*' ? t('term.anybody') : x)).join(', ')], ['term.tables', tables.join('; ')],
    ['term.kinds', d.aggregates.map((x) => t(`term.${x}`)).join(', ')],
    ['term.budget', t('term.budgetWords', { epsilon: number(d.budget.epsilon), delta: number(d.budget.delta), max: number(d.max_epsilon), least: number(least(d)) })], ['term.leaves', t(d.sealed ? 'term.sealed' : 'term.open')], ['term.until', day(d.expires)],
  ];
  return h('dl', { class: 'terms' }, lines.map(([name, words]) => [h('dt', {}, t(name)), h('dd', {}, words)]));
}

/** decide lets the custodian sign a decision. */
function decide(act, st) {
  const of = st.proposal;
  const approve = act === 'approve';
  const field = (id, words, attributes) => { const input = h('input', { id, ...attributes }); return [input, h('label', { for: id }, t(words), input)]; };
  const [epsilon, epsilonLabel] = field('sign-epsilon', 'sign.epsilon', { type: 'number', min: 0, step: 'any', max: of.budget.epsilon, value: of.budget.epsilon });
  const [max, maxLabel] = field('sign-max', 'sign.max', { type: 'number', min: 0, step: 'any', max: of.max_epsilon, value: of.max_epsilon });
  const [min, minLabel] = field('sign-min', 'sign.min', { type: 'number', min: least(of), step: 'any', max: of.max_epsilon, value: least(of) });
  const [until, untilLabel] = field('sign-until', 'sign.until', { type: 'date', max: of.expires.slice(0, 10), value: of.expires.slice(0, 10) });
  const [sealed, sealedLabel] = field('sign-sealed', 'sign.sealed', { type: 'checkbox', checked: of.sealed || st.holds?.sealed ? '' : null, disabled: of.sealed || st.holds?.sealed || of.budget.accounting === 'pure' ? '' : null });
  const [reason, reasonLabel] = field('sign-reason', 'sign.reason', { type: 'text', maxlength: 1000 });
  const [key, keyLabel] = field('sign-key', 'sign.key', { type: 'file', accept: '.key,.pem' });
  const by = h('select', { id: 'sign-by' }, state.standing.custodians.map((x) => h('option', { value: x }, x)));
  const place = h('div', {});
  key.addEventListener('change', () => {
    const name = key.files[0] && key.files[0].name.replace(/\.(key|pem)$/, '');
    if (state.standing.custodians.includes(name)) by.value = name;
  });
  async function go() {
    place.replaceChildren();
    if (!globalThis.crypto || !crypto.subtle) { place.replaceChildren(bad(t('sign.noCrypto'))); return; }
    if (!key.files.length) { place.replaceChildren(bad(t('sign.noKey'))); key.focus(); return; }
    let secret;
    try { secret = await openKey(key.files[0]); } catch (error) { place.replaceChildren(bad(t(error.name === 'NotSupportedError' ? 'sign.noCrypto' : 'sign.badKey'))); return; }
    const decision = { act, study: st.id, by: by.value, reason: reason.value };
    if (approve) {
      if (Number(epsilon.value) !== of.budget.epsilon) decision.epsilon = Number(epsilon.value);
      if (Number(max.value) !== of.max_epsilon) decision.max_epsilon = Number(max.value);
      if (Number(min.value) !== least(of)) decision.min_epsilon = Number(min.value);
      if (sealed.checked && !of.sealed) decision.sealed = true;
      if (until.value !== of.expires.slice(0, 10)) decision.expires = `${until.value}T00:00:00Z`;
    }
    try {
      const draft = await send('POST', '/v1/draft', decision);
      // What is signed is what the bytes say, and they must say what was chosen.
      const record = said(draft);
      const d = record.document;
      if (record.act !== act || record.study !== st.id || record.hospital !== state.standing.hospital || record.by !== by.value
        || approve && (d.budget.epsilon > Number(epsilon.value) || d.max_epsilon > Number(max.value) || least(d) < Number(min.value) || sealed.checked && !d.sealed || d.expires.slice(0, 10) > until.value || d.version !== of.version
          || ['tables', 'investigators', 'hospitals', 'aggregates', 'purpose'].some((k) => JSON.stringify(d[k]) !== JSON.stringify(of[k])))) {
        place.replaceChildren(bad(t('sign.changed')));
        return;
      }
      const standing = await send('POST', '/v1/records', await sign(draft, secret));
      dialog.close();
      await settled(standing, t('sign.done'));
    } catch (error) { place.replaceChildren(problem(error)); }
  }
  const dialog = box(t(`sign.${act}`, { study: st.id }), approve ? [terms(of), h('p', { class: 'muted small' }, t('sign.narrow'))] : '',
    h('div', { class: 'form' }, approve ? [epsilonLabel, maxLabel, minLabel, untilLabel, sealedLabel] : '', h('div', { class: 'wide' }, reasonLabel), h('label', { for: 'sign-by' }, t('sign.by'), by), keyLabel),
    h('p', { class: 'muted small row' }, icon('key'), t('sign.keyHelp')), place,
    h('div', { class: 'row' }, h('button', { type: 'button', class: act === 'end' ? 'danger' : 'main', onclick: go }, t('sign.go')), h('button', { type: 'button', onclick: () => dialog.close() }, t('app.cancel'))));
}

function studyCard(st, waits) {
  const d = waits ? st.proposal : st.holds || st.proposal;
  const expired = Date.parse(d.expires) <= Date.now() && st.status !== 'ended';
  const chip = st.status === 'approved' || st.status === 'amended' ? (expired ? 'warn' : 'good') : st.status === 'proposed' ? 'warn' : 'bad';
  const button = (act, words, kind) => h('button', { type: 'button', class: kind, onclick: () => decide(act, st) }, t(words));
  return h('article', { class: `card study ${waits ? 'waits' : ''}`, 'aria-label': d.title },
    h('div', { class: 'row' }, h('span', { class: 'title' }, d.title), h('span', { class: 'mono muted' }, st.id), h('span', { class: 'chip' }, t('study.version', { n: d.version })), h('span', { class: `chip right ${chip}` }, t(expired ? 'status.expired' : `status.${st.status}`))),
    !waits && st.remaining ? h('div', { class: 'row small', css: { 'margin-top': '10px' } }, h('div', { class: 'grow' }, meter(st.remaining.fraction)), h('span', { class: 'muted' }, t('study.left', { left: percent(1 - st.remaining.fraction), epsilon: number(d.budget.epsilon) }))) : '',
    !waits && st.failed ? h('div', { class: 'notice bad' }, icon('warn'), h('div', {}, h('strong', {}, t('failures.suspended', { n: number(st.failures) })), h('div', {}, t('failures.lift'))))
      : !waits && st.failures ? h('p', { class: 'small' }, t(st.failures === 1 ? 'failures.one' : 'failures.some', { n: number(st.failures), allowed: number(st.failures_allowed) })) : '',
    terms(d), h('p', { class: 'muted small' }, `${t('term.last')}${t('app.colon')}`, h('span', { lang: recorded(st.last) ? null : 'en' }, recorded(st.last) || st.last)),
    st.status === 'ended' ? '' : h('div', { class: 'row', css: { 'margin-top': '12px' } }, waits ? button('approve', 'act.approve', 'main') : '', !waits && st.status === 'suspended' ? button('approve', 'act.reopen', 'main') : '',
      !waits && st.status !== 'suspended' ? button('suspend', 'act.suspend', '') : '', button('end', waits && !st.holds ? 'act.refuse' : 'act.end', '')));
}

function name(e) {
  if (!e) return t('plain.computed');
  const columns = [];
  (function walk(x) {
    if (x && typeof x === 'object') {
      if (x.op === 'column' && x.column) columns.push(x.column);
      Object.values(x).forEach(walk);
    }
  }(e));
  const unique = [...new Set(columns)];
  return unique.length ? unique.join(', ') : t('plain.computed');
}

function tablesOf(relations) {
  return [...new Set((relations || []).flatMap((r) => (r.table ? [r.table] : tablesOf(r.derived && r.derived.relations))))];
}

// The ledger's own sentences are English; these are said in French as well.
const TERMS = String.raw`: epsilon (?<epsilon>\S+) and delta (?<delta>\S+) in all \((?<accounting>\w+)\), (?<max>\S+) for one query(?: and at least (?<least>\S+) for a release)?, until (?<until>[\d-]+), for (?<people>.+?)`;
const ENDS = String.raw`(?<reason>; reason: .+)?\.$`;
const SENTENCES = [
  [new RegExp(String.raw`^(?<who>.+?) proposed version (?<n>\d+) of the study (?<study>\S+), "(?<title>.*)" \((?<basis>.*)\)${TERMS}${ENDS}`, 'u'), 'plain.proposed'],
  [new RegExp(String.raw`^(?<who>.+?) approved version (?<n>\d+) of the study (?<study>\S+) at (?<place>\S+)${TERMS}${ENDS}`, 'u'), 'plain.approved'],
  [new RegExp(String.raw`^(?<who>.+?) suspended the study (?<study>\S+) at (?<place>.+?)${ENDS}`, 'u'), 'plain.suspended'],
  [new RegExp(String.raw`^(?<who>.+?) ended the study (?<study>\S+) at (?<place>.+?)${ENDS}`, 'u'), 'plain.ended'],
  [/^The ledger of (?<who>.+) is at entry (?<n>\d+)\.$/u, 'plain.checkpoint'],
  [/^The ledger of (?<who>.+) was created\.$/u, 'plain.created'],
];

/** recorded is such a sentence in the reader's language, or null: then only its own says it. */
function recorded(text) {
  if (language() === 'en') return null;
  for (const [pattern, key] of SENTENCES) {
    const found = pattern.exec(text);
    if (!found) continue;
    const of = { ...found.groups, reason: (found.groups.reason || '').replace('; reason: ', ' ; motif : ') };
    for (const x of ['epsilon', 'delta', 'max', 'least']) if (of[x]) of[x] = number(of[x]);
    of.floor = of.least ? `, ε ${of.least} au moins par résultat` : '';
    if (of.until) of.until = day(of.until);
    return t(key, of);
  }
  return null;
}

/** plain says in the reader's language what an entry means; null where only its own sentence does. */
function plain(e) {
  const d = e.detail;
  if (e.kind === 'reserve' && d && d.request) {
    const f = d.request.fragment;
    const what = [...new Set((f.partials || []).map((p) => (p.kind === 'patients' && p.expr ? t('plain.patientsWith', { x: t('plain.condition', { x: name(p.expr) }) }) : t(`plain.${p.kind}`, { x: name(p.expr) }))))];
    const keys = (f.keys || []).map((k) => (k.expr && k.expr.op === 'hospital' ? 'hospital' : name(k.expr)));
    const by = keys.length ? t('plain.by', { keys: keys.join(', ') }) : '';
    return t('plain.asked', { who: e.researcher, study: e.study, what: what.join('; '), tables: tablesOf(f.relations).join(', '), by, noise: t(`noise.${d.request.noise.mechanism}`), epsilon: number(d.request.noise.epsilon) });
  }
  if (e.kind === 'charge') return t('plain.charge', { epsilon: number(e.epsilon) });
  if (e.kind === 'failure' && d && d.allowed) return `${t('plain.failed', { code: d.code, rows: number(d.rows), n: number(d.count), allowed: number(d.allowed), study: e.study })}${d.suspends ? ` ${t('plain.failedLast')}` : ''}`;
  if (e.kind === 'config' && d && typeof d.suspended === 'boolean') return t(d.suspended ? 'plain.stopped' : 'plain.released', { reason: d.reason });
  if (e.kind === 'answer' && d && d.covered) return t('plain.covered', { n: number(d.rows), bytes: number(d.bytes) });
  if (e.kind === 'answer' && d && d.rows !== undefined) return t(d.rows === 1 ? 'plain.leftOne' : 'plain.left', { n: number(d.rows), bytes: number(d.bytes) });
  if (e.kind === 'data' && d) return t('plain.data', { version: d.data_version });
  return recorded(e.text);
}

function entry(e) {
  const words = plain(e);
  const sql = e.detail && e.detail.sql;
  return h('li', { class: `k-${e.kind}` }, h('div', { class: 'row small muted' }, h('span', {}, `№ ${e.sequence}`), h('span', {}, time(e.time)), h('strong', {}, t(`kind.${e.kind}`)),
    e.study ? h('span', { class: 'chip' }, e.study) : '', e.researcher ? h('span', { class: 'chip' }, e.researcher) : ''),
  h('p', { class: 'said', lang: words ? null : 'en' }, words || e.text),
  sql ? h('details', {}, h('summary', {}, t('log.sql')), h('pre', { tabindex: 0 }, sql)) : '',
  e.detail || words ? h('details', {}, h('summary', {}, t('log.detail')), words ? h('p', { class: 'said small', lang: 'en' }, e.text) : '', h('pre', { tabindex: 0 }, `${e.detail ? `${JSON.stringify(e.detail, null, 2)}\n` : ''}hash ${e.hash}${e.query ? `\nquery ${e.query}` : ''}`)) : '');
}

function log() {
  const kinds = ['reserve', 'charge', 'answer', 'failure', 'refuse', 'abandon', 'study', 'config', 'data', 'checkpoint', 'recover', 'open'];
  const again = async () => {
    try { await entries(false); fill(); } catch (error) { list.replaceChildren(problem(error)); }
  };
  const kind = h('select', { id: 'log-kind', onchange: () => { state.kind = kind.value; again(); } }, h('option', { value: '' }, t('log.all')), kinds.map((k) => h('option', { value: k, selected: k === state.kind }, t(`kind.${k}`))));
  const study = h('select', { id: 'log-study', onchange: () => { state.study = study.value; again(); } }, h('option', { value: '' }, t('log.every')), state.standing.studies.map((x) => h('option', { value: x.id, selected: x.id === state.study }, x.id)));
  const list = h('ol', { class: 'entries' });
  const more = h('button', { type: 'button', onclick: async () => {
    try { await entries(true); fill(); } catch (error) { more.replaceWith(problem(error)); }
  } }, t('log.more'));
  function fill() {
    list.replaceChildren(...state.entries.map(entry));
    if (!state.entries.length) list.replaceChildren(h('li', {}, t('log.none')));
    more.classList.toggle('hidden', !state.next);
  }
  fill();
  return h('section', { 'aria-labelledby': 'log-title' }, h('h2', { id: 'log-title' }, t('log.title')), h('p', { class: 'muted' }, t('log.words')),
    h('div', { class: 'row', css: { 'margin-top': '10px' } }, h('label', { for: 'log-kind' }, t('log.show')), kind, h('label', { for: 'log-study' }, t('log.study')), study), list, more);
}

function verify() {
  const place = h('div', { class: 'whole', css: { 'margin-top': '12px' } });
  const show = () => {
    const c = state.checked;
    if (!c) return;
    place.replaceChildren(c.whole ? h('div', { class: 'notice good', role: 'status' }, icon('check'), h('div', {}, h('strong', {}, t('verify.whole', { n: number(c.entries), first: time(c.first), last: time(c.last) })),
      h('div', {}, t('verify.charged', { epsilon: number(c.charged.epsilon / 1e9), rho: number(c.charged.rho / 1e9) })), h('div', {}, `${t('verify.head')}${t('app.colon')}`, h('span', { class: 'mono' }, c.head))))
      : h('div', { class: 'notice bad', role: 'alert' }, icon('warn'), h('div', {}, h('strong', {}, t('verify.broken')), h('div', { lang: 'en' }, c.finding))));
  };
  show();
  return h('section', { class: 'card', 'aria-labelledby': 'verify-title' }, h('h2', { id: 'verify-title' }, t('verify.title')), h('p', { class: 'muted' }, t('verify.words')),
    h('button', { type: 'button', css: { 'margin-top': '12px' }, onclick: async () => {
      try { state.checked = await send('GET', '/v1/verify'); show(); } catch (error) { place.replaceChildren(problem(error)); }
    } }, icon('lock'), t('verify.go')), place);
}

function render() {
  if (!state) { login(); return; }
  const st = state.standing;
  document.title = `${st.hospital} · Intramuros`;
  const waiting = st.studies.filter((x) => x.waits);
  const held = st.studies.filter((x) => x.holds);
  const place = h('div', {});
  const main = h('main', { id: 'main', tabindex: -1 },
    st.certificates.map((c) => {
      const over = new Date(c.ends) <= new Date();
      return h('div', { class: `notice ${over ? 'bad' : 'warn'}`, role: over ? 'alert' : null }, icon('warn'), h('span', {}, t(over ? 'certificate.ended' : 'certificate.ends', { what: t(`certificate.${c.what}`), time: time(c.ends) })));
    }),
    h('div', { class: `card head ${st.hold.on ? 'stopped' : ''}` },
      h('div', { class: 'stack' }, h('div', {}, h('h1', {}, st.hospital), h('p', { class: 'muted small' }, t('head.data', { version: st.data_version.slice(0, 12), engine: st.engine }))),
        st.hold.on ? h('div', {}, h('h2', {}, t('hold.on')), h('p', {}, t('hold.since', { time: time(st.hold.since) })), st.hold.reason ? h('p', {}, t('hold.reason', { reason: st.hold.reason })) : '') : '',
        h('div', {}, h('p', {}, h('strong', {}, t('head.left', { left: percent(1 - st.remaining.fraction) })), ' ', h('span', { class: 'muted small' }, t('head.budget', { epsilon: number(st.budget.epsilon), delta: number(st.budget.delta), accounting: st.budget.accounting }))), meter(st.remaining.fraction)), place),
      h('div', { class: 'brake' }, st.hold.on ? h('button', { type: 'button', class: 'main', onclick: () => release(place) }, t('hold.release')) : [h('button', { type: 'button', class: 'danger', onclick: stop }, t('hold.stop')), h('p', { class: 'muted small' }, t('hold.words'))])),
    h('div', { class: 'sections' },
      h('section', { 'aria-labelledby': 'waits-title' }, h('h2', { id: 'waits-title' }, t('waits.title')), waiting.length ? waiting.map((x) => studyCard(x, true)) : h('p', { class: 'muted' }, t('waits.none'))),
      h('section', { 'aria-labelledby': 'studies-title' }, h('h2', { id: 'studies-title' }, t('studies.title')), held.length ? held.map((x) => studyCard(x, false)) : h('p', { class: 'muted' }, t('studies.none'))),
      verify(), log()));
  app.replaceChildren(h('a', { class: 'skip', href: '#main', onclick: (e) => { e.preventDefault(); main.focus(); } }, t('app.skip')),
    h('header', { class: 'top' }, h('div', {}, h('span', { class: 'brand' }, wall(), 'Intramuros', h('small', {}, `${t('app.custodian')} · ${st.federation}`)), h('div', { class: 'tools' }, languageButton(), h('button', { type: 'button', class: 'quiet', onclick: leave }, t('app.leave'))))), main);
}

if (sessionStorage.getItem(TOKEN)) enter();
else login();
