// The console: who is there, which page is shown.

import { h, wall } from './dom.js';
import { choose, language, load, t } from './language.js';
import { messages } from './messages.js';
import { build, linked } from './ask.js';
import { problem } from './parts.js';
import * as pages from './pages.js';
import * as server from './server.js';

load(messages);
const SCHEME = 'intramuros.scheme';
const stored = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
if (stored(SCHEME)) document.documentElement.dataset.scheme = stored(SCHEME);

const app = document.getElementById('app');
const PAGES = ['ask', 'catalog', 'budget', 'hospitals', 'past'];
let state = null;

const languageButton = () => h('button', { type: 'button', class: 'quiet', lang: language() === 'en' ? 'fr' : 'en', onclick: () => { choose(language() === 'en' ? 'fr' : 'en'); render(); } }, t('app.language'));

function schemeButton() {
  const dark = () => (document.documentElement.dataset.scheme || (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')) === 'dark';
  const button = h('button', { type: 'button', class: 'quiet', onclick: () => {
    const next = dark() ? 'light' : 'dark';
    document.documentElement.dataset.scheme = next;
    try { localStorage.setItem(SCHEME, next); } catch { /* it holds until the page is left */ }
    button.textContent = t(dark() ? 'app.light' : 'app.dark');
  } }, t(dark() ? 'app.light' : 'app.dark'));
  return button;
}

function login(error) {
  document.title = t('app.title');
  const field = h('input', { id: 'token', type: 'password', autocomplete: 'current-password', required: true, 'aria-describedby': 'token-help', spellcheck: 'false' });
  const said = h('div', {}, error || '');
  const form = h('form', { onsubmit: async (e) => {
    e.preventDefault();
    if (!field.value.trim()) return;
    server.token.set(field.value.trim());
    await enter(said);
  } }, h('label', { for: 'token' }, t('login.token')), field, h('p', { id: 'token-help', class: 'muted small' }, t('login.help')), h('button', { class: 'main', type: 'submit' }, t('login.go')), said);
  app.replaceChildren(h('div', { class: 'login' }, h('main', { id: 'main', class: 'card' },
    h('div', { class: 'row' }, h('span', { class: 'brand' }, wall(), 'Intramuros'), h('span', { class: 'right' }, languageButton())), h('h1', {}, t('login.title')), h('p', { class: 'muted' }, t('login.words')), form)));
  field.focus();
}

/** enter begins with the token of this tab. */
async function enter(said) {
  try {
    const me = await server.me();
    const [catalog, federation] = await Promise.all([server.catalog(), server.hospitals()]);
    const asked = linked(location.hash);
    const kept = stored('intramuros.study');
    const study = [asked && asked.study, kept, me.studies[0]].find((x) => me.studies.includes(x)) || '';
    state = {
      me, catalog, federation, study, budget: null, sql: '', precision: 'default', value: '', maxGroups: 0, maxRows: 0,
      answer: null, running: null, outline: null, speeds: new Map(), past: new server.Past(me.federation, me.researcher), leave,
      async refresh() {
        if (!state || !state.study) return;
        try { state.budget = await server.budget(state.study); } catch (error) { if (error.status === 401) leave(); }
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

function leave() {
  if (state && state.running) state.running.abort();
  server.token.clear();
  state = null;
  login();
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

const page = () => PAGES.find((p) => location.hash === `#${p}`) || 'ask';

function render() {
  if (!state) { login(); return; }
  if (state.running) state.running.abort(); // its page goes
  const now = page();
  document.title = `${t(`page.${now}`)} · Intramuros`;
  const study = h('select', { id: 'study', onchange: async () => {
    state.study = study.value;
    try { localStorage.setItem('intramuros.study', study.value); } catch { /* the first one, next time */ }
    state.answer = null;
    await state.refresh();
    render();
  } }, state.me.studies.map((x) => h('option', { value: x, selected: x === state.study }, x)));
  const main = h('main', { id: 'main', tabindex: -1 });
  app.replaceChildren(h('a', { class: 'skip', href: '#main', onclick: (e) => { e.preventDefault(); main.focus(); } }, t('app.skip')),
    h('header', { class: 'top' }, h('div', {}, h('a', { class: 'brand', href: '#ask' }, wall(), 'Intramuros', h('small', {}, state.me.federation)),
      h('nav', { 'aria-label': t('app.pages') }, PAGES.map((p) => h('a', { href: `#${p}`, 'aria-current': p === now ? 'page' : null }, t(`page.${p}`)))),
      h('div', { class: 'tools' }, state.me.studies.length ? [h('label', { for: 'study', class: 'unseen' }, t('app.study')), study] : '', languageButton(), schemeButton(),
        h('button', { type: 'button', class: 'quiet', onclick: leave, title: state.me.researcher }, t('app.leave'))))), main);
  if (now === 'ask') {
    if (!state.study) main.append(h('div', { class: 'notice warn' }, t('app.noStudy')));
    else main.append(build(state));
    return;
  }
  const ask = (request) => { take(request); location.hash = '#ask'; };
  main.append(...({
    budget: () => pages.budget(state), hospitals: () => pages.hospitals(state), catalog: () => pages.catalog(state, (sql) => ask({ sql })),
    past: () => pages.past(state, (request) => { if (request) ask(request); else render(); }),
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

if (server.token.get()) enter();
else login();
