// The custodian's console.

import { h, icon, s, say, wall } from './dom.js';
import { choose, day, has, language, load, number, percent, t, time } from './language.js';
import { messages } from './messages.js';
import { acted, plain, refusal } from './plain.js';
import { openKey, said, sign } from './sign.js';

load(messages);
const TOKEN = 'intramuros.custodian';
const app = document.getElementById('app');
let state = null; // {standing, entries, next, kind, study, checked}
let providers = []; // the sign-in providers

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
      method, cache: 'no-store', credentials: sessionStorage.getItem(TOKEN) ? 'omit' : 'same-origin', redirect: 'error',
      headers: { ...(sessionStorage.getItem(TOKEN) ? { Authorization: `Bearer ${sessionStorage.getItem(TOKEN)}` } : {}), ...(body ? { 'Content-Type': 'application/json' } : {}) },
      body: body ? JSON.stringify(body) : undefined,
    });
  } catch {
    throw new Refusal(0, { code: 'UNREACHABLE', message: '' });
  }
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  if (response.status === 401 && state) ended();
  throw new Refusal(response.status, (answer && answer.error) || { code: 'INTERNAL', message: String(response.status) });
}

const problem = (error) => h('div', { class: 'notice bad', role: 'alert' }, icon('warn'), h('div', {}, h('strong', {}, has(`error.${error.code}`) ? t(`error.${error.code}`) : error.code || error.name), refusal(error.message) ? h('div', {}, refusal(error.message)) : h('div', { lang: 'en' }, error.message)));
const bad = (words) => h('div', { class: 'notice bad', role: 'alert' }, icon('warn'), h('span', {}, words));
const languageButton = () => h('button', { type: 'button', class: 'quiet', lang: language() === 'en' ? 'fr' : 'en', onclick: () => { choose(language() === 'en' ? 'fr' : 'en'); render(); } }, t('app.language'));

function meter(spent) {
  return s('svg', { class: 'meter', viewBox: '0 0 1000 12', preserveAspectRatio: 'none', role: 'img', 'aria-label': t('head.meter', { spent: percent(spent) }) }, s('rect', { class: 'left', width: 1000 * Math.max(0, 1 - spent), height: 12 }));
}

function login(error) {
  document.title = `${t('login.title')} · Intramuros`;
  const field = h('input', { id: 'token', type: 'password', autocomplete: 'current-password', required: true, 'aria-describedby': 'token-help' });
  const place = h('div', {}, error || '');
  const ways = providers.length ? h('div', { class: 'providers' }, providers.map((p) => h('a', { class: 'button main', href: p.address }, t('login.with', p))),
    h('p', { class: 'or muted small' }, h('span', {}, t('login.or')))) : '';
  app.replaceChildren(h('div', { class: 'login' }, h('main', { id: 'main', class: 'card' }, h('div', { class: 'row' }, h('span', { class: 'brand' }, wall(), 'Intramuros'), h('span', { class: 'right' }, languageButton())),
    h('h1', {}, t('login.title')), h('p', { class: 'muted' }, t('login.words')), ways,
    h('form', { onsubmit: async (e) => {
      e.preventDefault();
      sessionStorage.setItem(TOKEN, field.value.trim());
      await enter(place);
    } }, h('label', { for: 'token' }, t('login.token')), field, h('p', { id: 'token-help', class: 'muted small' }, t('login.help')), h('button', { class: providers.length ? '' : 'main', type: 'submit' }, t('login.go')), place))));
  (app.querySelector('.providers a') || field).focus();
}

/** arrive runs first. The custodian comes back from a provider, is signed in, has a token in this tab, or is new. */
async function arrive() {
  const failure = new URLSearchParams(location.hash.slice(1)).get('signin');
  if (failure !== null) history.replaceState(null, '', location.pathname);
  let told = { providers: [], signed_in: false };
  try { told = await send('GET', '/signin'); } catch { /* the reader can still use a token */ }
  providers = told.providers;
  if (failure === null && (sessionStorage.getItem(TOKEN) || told.signed_in)) enter();
  else login(failure !== null && has(`login.${failure}`) ? bad(t(`login.${failure}`)) : '');
}

async function enter(place) {
  try {
    const standing = await send('GET', '/v1/standing');
    state = { standing, entries: [], next: 0, kind: '', study: '', checked: null };
    await entries(false);
    render();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const words = error.status === 401 ? bad(t(place ? 'login.wrong' : 'login.ended')) : error.code === 'FORBIDDEN' ? bad(t('login.forbidden')) : problem(error);
    sessionStorage.removeItem(TOKEN);
    if (place) place.replaceChildren(words);
    else login(words);
  }
}

/** ended shows the sign-in when the token or the session has ended. */
function ended() {
  sessionStorage.removeItem(TOKEN);
  state = null;
  login(bad(t('login.ended')));
}

async function leave() {
  const local = sessionStorage.getItem(TOKEN);
  sessionStorage.removeItem(TOKEN);
  state = null;
  if (!local) { try { await send('DELETE', '/signin'); } catch { /* the node cannot be reached: the session expires later */ } }
  login();
}

let asked = 0; // the number of requests for entries: only the last one's answer is used

async function entries(more) {
  const mine = ++asked;
  const query = new URLSearchParams();
  if (more) query.set('before', state.next);
  if (state.kind) query.set('kind', state.kind);
  if (state.study) query.set('study', state.study);
  const answer = await send('GET', `/v1/entries?${query}`);
  if (mine !== asked) return;
  state.entries = more ? [...state.entries, ...answer.entries] : answer.entries;
  state.next = answer.next;
}

/** settled shows the node's state after an act. */
async function settled(standing, words) {
  state.standing = standing;
  await entries(false);
  render();
  say(words);
}

// box opens a dialog in front of the page. The keyboard stays within it until it is closed.
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
  if (state.standing.signatures_required > 1) { signRelease(); return; }
  try {
    await settled(await send('POST', '/v1/hold', { on: false, reason: '' }), t('hold.released'));
  } catch (error) { place.replaceChildren(problem(error)); }
}

/** signature makes the form for who signs, why, and with which key. open reads the key, and returns null after a fault. */
function signature() {
  const reason = h('input', { id: 'sign-reason', type: 'text', maxlength: 1000 });
  const key = h('input', { id: 'sign-key', type: 'file', accept: '.key,.pem' });
  const by = h('select', { id: 'sign-by' }, state.standing.custodians.map((x) => h('option', { value: x, selected: x === state.standing.you }, x)));
  const place = h('div', {});
  key.addEventListener('change', () => {
    const name = key.files[0] && key.files[0].name.replace(/\.(key|pem)$/, '');
    if (state.standing.custodians.includes(name)) by.value = name;
  });
  async function open() {
    place.replaceChildren();
    if (!globalThis.crypto || !crypto.subtle) { place.replaceChildren(bad(t('sign.noCrypto'))); return null; }
    if (!key.files.length) { place.replaceChildren(bad(t('sign.noKey'))); key.focus(); return null; }
    try { return await openKey(key.files[0]); } catch (error) { place.replaceChildren(bad(t(error.name === 'NotSupportedError' ? 'sign.noCrypto' : 'sign.badKey'))); return null; }
  }
  const view = [h('div', { class: 'form' }, h('label', { class: 'wide', for: 'sign-reason' }, t('sign.reason'), reason), h('label', { for: 'sign-by' }, t('sign.by'), by), h('label', { for: 'sign-key' }, t('sign.key'), key)),
    h('p', { class: 'muted small row' }, icon('key'), t('sign.keyHelp')), place];
  return { reason, by, place, view, open };
}

/** signRelease lets a custodian sign that the hospital answers again, if several custodians must sign. */
function signRelease() {
  const st = state.standing, form = signature();
  const dialog = box(t('hold.release'), h('p', { class: 'notice warn' }, icon('key'), t('hold.rule', { n: number(st.signatures_required) })),
    (st.hold.signed || []).length ? h('p', {}, t('hold.signed', { who: st.hold.signed.join(', ') })) : '', form.view,
    h('div', { class: 'row' }, h('button', { type: 'button', class: 'main', onclick: go }, t('sign.go')), h('button', { type: 'button', onclick: () => dialog.close() }, t('app.cancel'))));
  async function go() {
    const secret = await form.open();
    if (!secret) return;
    try {
      const draft = await send('POST', '/v1/hold/draft', { by: form.by.value, reason: form.reason.value });
      const record = said(draft, 'hold');
      if (record.hospital !== st.hospital || record.by !== form.by.value || record.since !== st.hold.since) { form.place.replaceChildren(bad(t('sign.changed'))); return; }
      const standing = await send('POST', '/v1/hold/records', await sign(draft, secret, 'hold'));
      dialog.close();
      await settled(standing, standing.hold.on ? t('hold.more', { n: number(standing.signatures_required - standing.hold.signed.length) }) : t('hold.released'));
    } catch (error) { form.place.replaceChildren(problem(error)); }
  }
}

/** least returns the least price of a release, as the node reads it from a document. */
const least = (d) => d.min_epsilon || Math.min(0.01, d.max_epsilon);

/** terms shows a study's document in plain words. */
function terms(d) {
  const tables = Object.entries(d.tables).map(([name, columns]) => `${name === '*' ? t('term.allTables') : name} (${columns.map((c) => (c === '*' ? t('term.allColumns') : c)).join(', ')})`);
  const lines = [
    ['term.purpose', d.purpose], ['term.legal', d.legal_basis], ['term.who', d.investigators.map((x) => (x === '*' ? t('term.anybody') : x)).join(', ')], ['term.tables', tables.join('; ')],
    ['term.kinds', d.aggregates.map((x) => t(`term.${x}`)).join(', ')],
    ['term.budget', t('term.budgetWords', { epsilon: number(d.budget.epsilon), delta: number(d.budget.delta), max: number(d.max_epsilon), least: number(least(d)) })], ['term.leaves', t(d.sealed ? 'term.sealed' : 'term.open')], ['term.until', day(d.expires)],
  ];
  return h('dl', { class: 'terms' }, lines.map(([name, words]) => [h('dt', {}, t(name)), h('dd', {}, words)]));
}

/** narrower makes the fields with which a decision allows less than a document. read returns the choices. */
function narrower(of, sealedBefore) {
  const field = (id, words, attributes) => { const input = h('input', { id, ...attributes }); return [input, h('label', { for: id }, t(words), input)]; };
  const [epsilon, epsilonLabel] = field('sign-epsilon', 'sign.epsilon', { type: 'number', min: 0, step: 'any', max: of.budget.epsilon, value: of.budget.epsilon });
  const [max, maxLabel] = field('sign-max', 'sign.max', { type: 'number', min: 0, step: 'any', max: of.max_epsilon, value: of.max_epsilon });
  const [min, minLabel] = field('sign-min', 'sign.min', { type: 'number', min: least(of), step: 'any', max: of.max_epsilon, value: least(of) });
  const [until, untilLabel] = field('sign-until', 'sign.until', { type: 'date', max: of.expires.slice(0, 10), value: of.expires.slice(0, 10) });
  const kept = of.sealed || sealedBefore;
  const [sealed, sealedLabel] = field('sign-sealed', 'sign.sealed', { type: 'checkbox', checked: kept ? '' : null, disabled: kept || of.budget.accounting === 'pure' ? '' : null });
  const each = (legend, all, words) => {
    const boxes = all.map((x) => h('input', { type: 'checkbox', checked: '', value: x }));
    return [boxes, h('fieldset', {}, h('legend', {}, t(legend)), boxes.map((box, i) => h('label', {}, box, words(all[i]))))];
  };
  const [people, peopleSet] = each('term.who', of.investigators, (x) => (x === '*' ? t('term.anybody') : x));
  const [kinds, kindsSet] = each('term.kinds', of.aggregates, (x) => t(`term.${x}`));
  const tables = Object.keys(of.tables).sort();
  const lines = h('textarea', { id: 'sign-tables', rows: Math.min(10, tables.length + 1), spellcheck: 'false', 'aria-describedby': 'sign-tables-help' });
  lines.value = tables.map((name) => `${name}: ${of.tables[name].join(', ')}`).join('\n');
  const tablesLabel = h('div', { class: 'wide' }, h('label', { for: 'sign-tables' }, t('term.tables'), lines), h('p', { id: 'sign-tables-help', class: 'muted small' }, t('sign.tables')));
  const checked = (boxes) => boxes.filter((box) => box.checked).map((box) => box.value);
  return {
    view: [h('p', { class: 'muted small' }, t('sign.less')), h('div', { class: 'form' }, epsilonLabel, maxLabel, minLabel, untilLabel, sealedLabel, peopleSet, kindsSet, tablesLabel)],
    read() {
      const chosen = { epsilon: Number(epsilon.value), max: Number(max.value), least: Number(min.value), until: until.value, sealed: sealed.checked, investigators: checked(people), aggregates: checked(kinds), tables: {} };
      for (const line of lines.value.split('\n').filter((x) => x.trim())) {
        const [, name, rest] = /^\s*([^:\s]+)\s*:(.*)$/u.exec(line) || [];
        const columns = (rest || '').split(',').map((x) => x.trim()).filter(Boolean);
        if (!name || !columns.length) throw new Error('sign.badTables');
        chosen.tables[name] = [...(chosen.tables[name] || []), ...columns];
      }
      if (!chosen.investigators.length || !chosen.aggregates.length || !Object.keys(chosen.tables).length) throw new Error('sign.nothing');
      return chosen;
    },
  };
}

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const sorted = (list) => [...new Set(list)].sort();
const tablesSorted = (tables) => Object.fromEntries(Object.keys(tables).sort().map((name) => [name, sorted(tables[name])]));

/** decision returns the decision that the node shall draft. of is the document that the choices narrow. */
function decision(act, st, of, chosen) {
  const d = { act, study: st.id };
  if (!chosen) return d;
  if (chosen.epsilon !== of.budget.epsilon) d.epsilon = chosen.epsilon;
  if (chosen.max !== of.max_epsilon) d.max_epsilon = chosen.max;
  if (chosen.least !== least(of)) d.min_epsilon = chosen.least;
  if (chosen.sealed && !of.sealed) d.sealed = true;
  if (chosen.until !== of.expires.slice(0, 10)) d.expires = `${chosen.until}T00:00:00Z`;
  for (const key of ['investigators', 'aggregates']) if (!same(sorted(chosen[key]), sorted(of[key]))) d[key] = chosen[key];
  if (!same(tablesSorted(chosen.tables), tablesSorted(of.tables))) d.tables = chosen.tables;
  return d;
}

/** meant reports whether a document to be signed allows no more than what was shown and chosen. */
function meant(d, of, chosen) {
  if (!d || !of) return !d && !of;
  if (['id', 'version', 'title', 'purpose', 'legal_basis'].some((k) => d[k] !== of[k]) || !same(sorted(d.hospitals || []), sorted(of.hospitals || []))) return false;
  const want = chosen || { epsilon: of.budget.epsilon, max: of.max_epsilon, least: least(of), until: of.expires.slice(0, 10), sealed: of.sealed, investigators: of.investigators, aggregates: of.aggregates, tables: of.tables };
  return d.budget.epsilon <= want.epsilon && d.budget.delta <= of.budget.delta && d.max_epsilon <= want.max && least(d) >= want.least && d.expires.slice(0, 10) <= want.until && d.expires <= of.expires
    && !(want.sealed && !d.sealed) && same(sorted(d.investigators), sorted(want.investigators)) && same(sorted(d.aggregates), sorted(want.aggregates)) && same(tablesSorted(d.tables), tablesSorted(want.tables));
}

/** decide lets the custodian sign a decision. With join it is one that another custodian has signed already. */
function decide(act, st, join = false) {
  const of = join ? st.pending.document : { approve: st.proposal, narrow: st.holds, resume: st.holds }[act];
  const narrowed = !join && (act === 'approve' || act === 'narrow') ? narrower(of, act === 'approve' && st.holds?.sealed) : null;
  const { reason, by, place, view, open } = signature();
  async function go() {
    place.replaceChildren();
    let chosen = null;
    try { if (narrowed) chosen = narrowed.read(); } catch (error) { place.replaceChildren(bad(t(error.message))); return; }
    const secret = await open();
    if (!secret) return;
    try {
      const draft = await send('POST', '/v1/draft', { ...decision(act, st, of, chosen), join, by: by.value, reason: reason.value });
      // The signature is over the bytes, so the bytes must contain what was chosen.
      const record = said(draft);
      if (record.act !== act || record.study !== st.id || record.hospital !== state.standing.hospital || record.by !== by.value || !meant(record.document, of, chosen)) {
        place.replaceChildren(bad(t('sign.changed')));
        return;
      }
      const standing = await send('POST', '/v1/records', await sign(draft, secret));
      dialog.close();
      const now = standing.studies.find((x) => x.id === st.id);
      await settled(standing, now && now.pending ? t('pending.more', { n: number(now.pending.missing) }) : t('sign.done'));
    } catch (error) { place.replaceChildren(problem(error)); }
  }
  const opens = act === 'approve' || act === 'resume';
  const dialog = box(t(`sign.${act}`, { study: st.id }), join ? h('p', {}, t('pending.by', { who: st.pending.by.join(', ') })) : '', act === 'resume' ? h('p', {}, t('sign.resumeWords')) : '', of ? terms(of) : '',
    opens && state.standing.signatures_required > 1 && !join ? h('p', { class: 'notice warn' }, icon('key'), t('pending.rule', { n: number(state.standing.signatures_required) })) : '', narrowed ? narrowed.view : '', view,
    h('div', { class: 'row' }, h('button', { type: 'button', class: act === 'end' ? 'danger' : 'main', onclick: go }, t('sign.go')), h('button', { type: 'button', onclick: () => dialog.close() }, t('app.cancel'))));
}

/** failuresOf makes a button that shows a study's failed queries in the log below. */
const failuresOf = (st) => h('button', { type: 'button', onclick: async () => {
  Object.assign(state, { kind: 'failure', study: st.id });
  await entries(false);
  render();
  document.getElementById('log-title').scrollIntoView();
  document.getElementById('log-kind').focus();
} }, t('failures.show'));

/** closed explains why a study is suspended, and what to do. */
function closed(st) {
  if (st.status !== 'suspended' || !st.holds) return '';
  const why = st.failed ? [h('strong', {}, t('failures.suspended', { n: number(st.failures) })), h('div', {}, t('failures.why')), h('div', {}, t('failures.lift'))]
    : [h('strong', {}, st.pending && st.pending.act === 'resume' && !(st.last_act && st.last_act.act === 'suspend') ? t('suspended.rule') : st.last_act && st.last_act.act === 'suspend' ? t('suspended.by', { who: st.last_act.by, time: time(st.last_act.time) }) : t('suspended.else')),
      st.last_act && st.last_act.act === 'suspend' && st.last_act.reason ? h('div', { class: 'words' }, t('hold.reason', { reason: st.last_act.reason })) : '', st.pending ? '' : h('div', {}, t('suspended.lift'))];
  return h('div', { class: 'notice bad' }, icon('warn'), h('div', {}, why, st.failed ? h('div', { css: { 'margin-top': '8px' } }, failuresOf(st)) : ''));
}

/** waitsFor shows who has signed, and lets another custodian sign the same decision. */
function waitsFor(st) {
  const p = st.pending;
  if (!p || st.status === 'ended') return '';
  return h('div', { class: 'notice warn' }, icon('key'), h('div', {}, h('strong', {}, t(`pending.${p.act}`, { who: p.by.join(', ') })), h('div', {}, t('pending.more', { n: number(p.missing) })),
    h('div', { css: { 'margin-top': '8px' } }, h('button', { type: 'button', class: 'main', onclick: () => decide(p.act, st, true) }, t('act.join')))));
}

function studyCard(st, waits) {
  const d = waits ? st.proposal : st.holds || st.proposal;
  const expired = Date.parse(d.expires) <= Date.now() && st.status !== 'ended';
  const chip = st.status === 'approved' || st.status === 'amended' ? (expired ? 'warn' : 'good') : st.status === 'proposed' ? 'warn' : 'bad';
  const button = (act, words, kind) => h('button', { type: 'button', class: kind, onclick: () => decide(act, st) }, t(words));
  const mine = !st.pending || (st.pending.act === 'approve') === waits; // whether this card shows the waiting decision
  const last = st.last_act && acted(st.last_act);
  return h('article', { class: `card study ${waits ? 'waits' : ''}`, 'aria-label': d.title },
    h('div', { class: 'row' }, h('span', { class: 'title' }, d.title), h('span', { class: 'mono muted' }, st.id), h('span', { class: 'chip' }, t('study.version', { n: d.version })), h('span', { class: `chip right ${chip}` }, t(expired ? 'status.expired' : `status.${st.status}`))),
    !waits && st.remaining ? h('div', { class: 'row small', css: { 'margin-top': '10px' } }, h('div', { class: 'grow' }, meter(st.remaining.spent)), h('span', { class: 'muted' }, t('study.left', { left: percent(1 - st.remaining.spent), epsilon: number(d.budget.epsilon) }))) : '',
    mine ? waitsFor(st) : '', waits ? '' : closed(st),
    !waits && st.failures && !st.failed ? h('div', { class: 'row small' }, h('span', {}, t(st.failures === 1 ? 'failures.one' : 'failures.some', { n: number(st.failures), allowed: number(st.failures_allowed) })), failuresOf(st)) : '',
    !waits && st.status === 'suspended' ? h('p', { class: 'small', css: { 'margin-top': '10px' } }, t('suspended.terms')) : '',
    terms(d), last ? h('p', { class: 'muted small words' }, `${t('term.last')}${t('app.colon')}${last}`) : '',
    st.status === 'ended' ? '' : h('div', { class: 'row', css: { 'margin-top': '12px' } }, waits ? button('approve', 'act.approve', 'main') : '', !waits && st.status === 'suspended' && !(st.pending && st.pending.act === 'resume') ? button('resume', 'act.resume', 'main') : '',
      !waits ? button('narrow', 'act.narrow', '') : '', !waits && st.status !== 'suspended' ? button('suspend', 'act.suspend', '') : '', button('end', waits && !st.holds ? 'act.refuse' : 'act.end', '')));
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
    more.classList.add('hidden'); // it would continue the old list
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
        st.hold.on ? h('div', {}, h('h2', {}, t('hold.on')), h('p', {}, t('hold.since', { time: time(st.hold.since) })), st.hold.by ? h('p', {}, t('hold.by', { who: st.hold.by })) : '', st.hold.reason ? h('p', { class: 'words' }, t('hold.reason', { reason: st.hold.reason })) : '', (st.hold.signed || []).length ? h('p', {}, t('hold.signed', { who: st.hold.signed.join(', ') })) : '') : '',
        h('div', {}, h('p', {}, h('strong', {}, t('head.left', { left: percent(1 - st.remaining.spent) })), ' ', h('span', { class: 'muted small' }, t('head.budget', { epsilon: number(st.budget.epsilon), delta: number(st.budget.delta), accounting: st.budget.accounting }))), meter(st.remaining.spent)), place),
      h('div', { class: 'brake' }, st.hold.on ? h('button', { type: 'button', class: 'main', onclick: () => release(place) }, t('hold.release')) : [h('button', { type: 'button', class: 'danger', onclick: stop }, t('hold.stop')), h('p', { class: 'muted small' }, t('hold.words'))])),
    h('div', { class: 'sections' },
      h('section', { 'aria-labelledby': 'waits-title' }, h('h2', { id: 'waits-title' }, t('waits.title')), waiting.length ? waiting.map((x) => studyCard(x, true)) : h('p', { class: 'muted' }, t('waits.none'))),
      h('section', { 'aria-labelledby': 'studies-title' }, h('h2', { id: 'studies-title' }, t('studies.title')), held.length ? held.map((x) => studyCard(x, false)) : h('p', { class: 'muted' }, t('studies.none'))),
      verify(), log()));
  app.replaceChildren(h('a', { class: 'skip', href: '#main', onclick: (e) => { e.preventDefault(); main.focus(); } }, t('app.skip')),
    h('header', { class: 'top' }, h('div', {}, h('span', { class: 'brand' }, wall(), 'Intramuros', h('small', {}, `${t('app.custodian')} · ${st.federation}`)), h('div', { class: 'tools' }, st.you && st.you !== 'console.token' ? h('span', { class: 'muted small' }, st.you) : '', languageButton(), h('button', { type: 'button', class: 'quiet', onclick: leave }, t('app.leave'))))), main);
}

arrive();
