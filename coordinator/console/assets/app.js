// The researcher's console: signing in, and choosing the page.

import { h, icon, wall } from './dom.js';
import { choose, language, load, t, time } from './language.js';
import { messages } from './messages.js';
import { build, link, linked } from './ask.js';
import { problem } from './parts.js';
import { Saved } from './saved.js';
import { request } from './request.js';
import * as pages from './pages.js';
import * as server from './server.js';

load(messages);
const SCHEME = 'intramuros.scheme';
const stored = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
if (stored(SCHEME)) document.documentElement.dataset.scheme = stored(SCHEME);

const app = document.getElementById('app');
const PAGES = ['ask', 'catalog', 'budget', 'hospitals', 'past'];
const operates = () => state.me.roles.includes('operator');
/** tabs are the pages that the header links. The budget's page links the request for a study. */
const tabs = () => (operates() ? [...PAGES, 'operation'] : PAGES);
let state = null;
let providers = []; // the sign-in providers

const languageButton = () => h('button', { type: 'button', class: 'quiet', lang: language() === 'en' ? 'fr' : 'en', onclick: () => { choose(language() === 'en' ? 'fr' : 'en'); render(); } }, t('app.language'));

function schemeButton() {
  const dark = () => (document.documentElement.dataset.scheme || (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')) === 'dark';
  const button = h('button', { type: 'button', class: 'quiet', onclick: () => {
    const next = dark() ? 'light' : 'dark';
    document.documentElement.dataset.scheme = next;
    try { localStorage.setItem(SCHEME, next); } catch { /* no storage: the choice lasts until the page is closed */ }
    button.textContent = t(dark() ? 'app.light' : 'app.dark');
  } }, t(dark() ? 'app.light' : 'app.dark'));
  return button;
}

/** login shows the ways to sign in: at a provider, or with a token. */
function login(error) {
  document.title = t('app.title');
  const field = h('input', { id: 'token', type: 'password', autocomplete: 'current-password', required: true, 'aria-describedby': 'token-help', spellcheck: 'false' });
  const said = h('div', {}, error || '');
  const form = h('form', { onsubmit: async (e) => {
    e.preventDefault();
    if (!field.value.trim()) return;
    server.token.set(field.value.trim());
    await enter(said);
  } }, h('label', { for: 'token' }, t('login.token')), field, h('p', { id: 'token-help', class: 'muted small' }, t('login.help')),
  h('button', { class: providers.length ? '' : 'main', type: 'submit' }, t('login.go')));
  const ways = providers.length ? h('div', { class: 'providers' }, providers.map((p) => h('a', { class: 'button main', href: p.address, onclick: keep }, t('login.with', p))),
    h('p', { class: 'or muted small' }, h('span', {}, t('login.or')))) : '';
  app.replaceChildren(h('div', { class: 'login' }, h('main', { id: 'main', class: 'card' },
    h('div', { class: 'row' }, h('span', { class: 'brand' }, wall(), 'Intramuros'), h('span', { class: 'right' }, languageButton())), h('h1', {}, t('login.title')), h('p', { class: 'muted' }, t('login.words')), said, ways, form)));
  (app.querySelector('.providers a') || field).focus();
}

// keep stores the question of a link, or of a session that ended, while the reader signs in at a provider.
const KEPT = 'intramuros.kept';
const keep = () => { if (linked(location.hash)) sessionStorage.setItem(KEPT, location.hash); };
const FAILURES = ['state', 'canceled', 'refused', 'unavailable', 'unknown'];

/** arrive runs first. The reader comes back from a provider, has a token in this tab, or is new. */
async function arrive() {
  const failure = new URLSearchParams(location.hash.slice(1)).get('signin');
  const kept = sessionStorage.getItem(KEPT);
  sessionStorage.removeItem(KEPT);
  if (failure !== null || kept) history.replaceState(null, '', kept || location.pathname);
  let signedIn = false;
  try {
    const told = await server.signIn();
    providers = told.providers;
    signedIn = told.signed_in;
  } catch { /* the reader can still use a token */ }
  if (server.token.get() || signedIn && failure === null) enter();
  else login(FAILURES.includes(failure) ? notice(t('login.failed'), t(`login.${failure}`)) : '');
}

const notice = (title, words) => h('div', { class: 'notice bad', role: 'alert' }, icon('warn'), h('div', {}, h('strong', {}, title), h('div', {}, words)));

/** enter starts the session with this tab's token or this browser's cookie. */
async function enter(said) {
  try {
    const me = await server.me();
    const [catalog, federation] = await Promise.all([server.catalog(), server.hospitals()]);
    const asked = linked(location.hash);
    const kept = stored('intramuros.study');
    const study = [asked && asked.study, kept, me.studies[0]].find((x) => me.studies.includes(x)) || '';
    state = {
      me, catalog, federation, study, budget: null, sql: '', precision: 'default', value: '', maxGroups: 0, maxRows: 0,
      answer: null, running: null, outline: null, speeds: new Map(), past: new server.Past(me.federation, me.researcher), saved: new Saved(me.federation, me.researcher), ended,
      async refresh() {
        if (!state || !state.study) return;
        try { state.budget = await server.budget(state.study); } catch (error) { if (error.status === 401) ended(); }
      },
    };
    if (asked) take(asked);
    await state.refresh();
    render();
  } catch (error) {
    if (error.status === 401) server.token.clear();
    if (!(error instanceof server.Refusal)) throw error;
    const words = error.status === 401 ? h('div', { class: 'notice bad', role: 'alert' }, t('login.wrong')) : problem(error);
    if (said) said.replaceChildren(words);
    else login(words);
  }
}

function close(words) {
  if (state && state.running) state.running.abort();
  state = null;
  login(words);
}

async function leave() {
  try { await server.signOut(); } catch { /* the coordinator cannot be reached: the session expires later */ }
  if (location.hash) history.replaceState(null, '', location.pathname);
  close();
}

/** ended shows the sign-in when the token has expired or was revoked. */
function ended() {
  if (state && state.sql.trim()) history.replaceState(null, '', link({ sql: state.sql, study: state.study }));
  server.token.clear();
  close(h('div', { class: 'notice warn', role: 'alert' }, icon('warn'), h('span', {}, t('login.ended'))));
}

/** take puts a question of the history or of a link into the editor. */
function take(request) {
  state.sql = request.sql;
  state.precision = request.accuracy !== undefined ? 'accuracy' : request.epsilon !== undefined ? 'epsilon' : 'default';
  state.value = String(request.accuracy ?? request.epsilon ?? '');
  state.maxGroups = request.max_groups || 0;
  state.maxRows = request.max_rows || 0;
  if (request.study && state.me.studies.includes(request.study)) state.study = request.study;
  state.answer = null;
}

/** ends warns of the coordinator's certificates that expire soon or have expired. */
const ends = (certificates) => certificates.map((c) => {
  const over = new Date(c.ends) <= new Date();
  return h('div', { class: `notice ${over ? 'bad' : 'warn'}`, role: over ? 'alert' : null }, icon('warn'), h('span', {}, t(over ? 'app.ended' : 'app.ends', { what: c.what, time: time(c.ends) })));
});

const page = () => [...tabs(), 'request'].find((p) => location.hash === `#${p}`) || 'ask';

function render() {
  if (!state) { login(); return; }
  if (state.running) state.running.abort(); // the page of this query is removed
  const now = page();
  document.title = `${t(`page.${now}`)} · Intramuros`;
  const study = h('select', { id: 'study', onchange: async () => {
    state.study = study.value;
    try { localStorage.setItem('intramuros.study', study.value); } catch { /* no storage: the next visit begins with the first study */ }
    state.answer = null;
    await state.refresh();
    render();
  } }, state.me.studies.map((x) => h('option', { value: x, selected: x === state.study }, x)));
  const main = h('main', { id: 'main', tabindex: -1 }, ends(state.federation.certificates));
  app.replaceChildren(h('a', { class: 'skip', href: '#main', onclick: (e) => { e.preventDefault(); main.focus(); } }, t('app.skip')),
    h('header', { class: 'top' }, h('div', {}, h('a', { class: 'brand', href: '#ask' }, wall(), 'Intramuros', h('small', {}, state.me.federation)),
      h('nav', { 'aria-label': t('app.pages') }, tabs().map((p) => h('a', { href: `#${p}`, 'aria-current': p === now ? 'page' : null }, t(`page.${p}`)))),
      h('div', { class: 'tools' }, state.me.studies.length ? [h('label', { for: 'study', class: 'unseen' }, t('app.study')), study] : '', languageButton(), schemeButton(),
        h('span', { class: 'who muted small', title: t('app.who') }, state.me.researcher), h('button', { type: 'button', class: 'quiet', onclick: leave, title: `${t('app.who')} ${state.me.researcher}` }, t('app.leave'))))), main);
  if (now === 'ask') {
    if (!state.study) main.append(h('div', { class: 'notice warn' }, h('span', {}, t('app.noStudy'), ' ', h('a', { href: '#request' }, t('request.link')))));
    else main.append(build(state));
    return;
  }
  const ask = (request) => { take(request); location.hash = '#ask'; };
  main.append(...({
    budget: () => pages.budget(state), hospitals: () => pages.hospitals(state), catalog: () => pages.catalog(state, (sql) => ask({ sql })),
    past: () => pages.past(state, (q) => { if (q) ask(q); else render(); }), request: () => request(state), operation: () => pages.operation(state),
  })[now]());
}

addEventListener('hashchange', () => {
  if (!state) return;
  const asked = linked(location.hash);
  if (asked) take(asked);
  render();
  if (page() === 'ask') document.getElementById('sql')?.focus();
  else document.querySelector('h1')?.focus();
});

arrive();
