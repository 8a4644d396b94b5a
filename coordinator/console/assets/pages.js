// The pages beside the one for asking questions.

import { debounce, h, icon, s, save } from './dom.js';
import { day, number, percent, t, time } from './language.js';
import { bounds } from './sql.js';
import { problem } from './parts.js';
import * as server from './server.js';
import { list } from './saved.js';
import { load, show } from './operation.js';

const head = (title, words, ...more) => h('div', { class: 'page-head' }, h('div', {}, h('h1', { tabindex: -1 }, title), h('p', {}, words)), more);

/** later fills a page when its data has arrived. */
function later(load, render, state) {
  const place = h('div', {}, h('p', { class: 'muted' }, t('app.loading')));
  place.fill = () => load().then((x) => place.replaceChildren(...[render(x)].flat()), (error) => {
    if (error.status === 401) state.ended();
    else place.replaceChildren(problem(error));
  });
  place.fill();
  return place;
}

const AGAIN = 15_000; // milliseconds between two checks of which hospitals are up

/** gauge draws the rest of a budget as a ring. */
function gauge(remaining) {
  const left = 1 - remaining.spent;
  const round = 2 * Math.PI * 62;
  return s('svg', { class: 'gauge', viewBox: '0 0 160 160', width: 180, height: 180, role: 'img', 'aria-label': `${percent(left)} ${t('budget.left')}` },
    s('circle', { class: 'gauge-ground', cx: 80, cy: 80, r: 62 }),
    s('circle', { class: left < 0.1 ? 'gauge-left low' : 'gauge-left', cx: 80, cy: 80, r: 62, 'stroke-dasharray': `${round * left} ${round}`, transform: 'rotate(-90 80 80)' }),
    s('text', { class: 'gauge-number', x: 80, y: 84, 'text-anchor': 'middle' }, percent(left)), s('text', { class: 'gauge-words', x: 80, y: 104, 'text-anchor': 'middle' }, t('budget.left')));
}

/** falling draws how the rest of a budget falls over time. */
function falling(charges, width) {
  const high = 190;
  const left = 46;
  const bottom = 26;
  const first = Date.parse(charges[0].time);
  const last = Date.parse(charges[charges.length - 1].time);
  // On a scale of months the answers of one morning would merge into one line, so they are counted.
  const sx = (i) => left + i / (charges.length + 0.5) * (width - left - 12);
  const sy = (v) => 10 + (1 - v) * (high - 10 - bottom);
  let d = `M${left} ${sy(1)}`;
  charges.forEach((c, i) => { d += `H${sx(i + 1).toFixed(1)}V${sy(1 - c.remaining.spent).toFixed(1)}`; });
  d += `H${width - 12}`;
  return s('svg', { class: 'chart', viewBox: `0 0 ${width} ${high}`, width, height: high, role: 'img', 'aria-label': t('budget.chart', { n: charges.length, first: time(first), last: time(last) }) },
    [0, 0.25, 0.5, 0.75, 1].map((v) => [s('line', { class: v === 0 ? 'axis' : 'grid', x1: left, x2: width - 12, y1: sy(v), y2: sy(v) }), s('text', { class: 'tick', x: left - 7, y: sy(v) + 4, 'text-anchor': 'end' }, percent(v))]),
    s('path', { class: 'ribbon fill-1', d: `${d}V${sy(0)}H${left}Z` }), s('path', { class: 'line stroke-1', d }),
    s('text', { class: 'tick', x: left, y: high - 6 }, time(first)), charges.length > 1 && width > 420 ? s('text', { class: 'tick', x: width - 12, y: high - 6, 'text-anchor': 'end' }, time(last)) : '');
}

export function budget(state) {
  const more = h('a', { class: 'button right', href: '#request' }, t('request.link'));
  if (!state.study) return [head(t('page.budget'), t('app.noStudy'), more)];
  return [head(t('budget.title', { study: state.study }), t('budget.words'), more), later(() => Promise.all([server.budget(state.study), server.spending(state.study)]), ([b, charges]) => {
    state.budget = b;
    const fact = (name, value) => h('div', {}, h('dt', {}, name), h('dd', {}, value));
    const width = Math.max(300, Math.min(1190, document.getElementById('main').clientWidth - (innerWidth > 700 ? 90 : 58)));
    const recent = [...charges].reverse().slice(0, 100);
    return h('div', { class: 'stack' },
      h('section', { class: 'card budget' }, gauge(b.remaining), h('div', { class: 'grow' },
        h('p', { class: 'lead' }, t('budget.enough', { n: number(Math.min(b.remaining.epsilon, b.max_epsilon)) })),
        h('dl', { class: 'facts' }, fact(t('budget.total'), `ε ${number(b.budget.epsilon)}, δ ${number(b.budget.delta)} (${b.budget.accounting})`), fact(t('budget.perQuery'), `ε ${number(b.max_epsilon)}`), fact(t('budget.least'), `ε ${number(b.min_epsilon)}`), fact(t('budget.leaves'), t(b.sealed ? 'budget.sealed' : 'budget.open')),
          fact(t('budget.delta'), number(b.remaining.delta)), fact(t('budget.expires'), day(b.expires)),
          b.at ? fact(t('budget.at'), b.at) : '',
          b.researcher ? fact(t('budget.mine'), `${percent(1 - b.researcher.remaining.spent)} / ε ${number(b.researcher.budget.epsilon)}`) : ''))),
      h('section', { class: 'card stack', 'aria-labelledby': 'history-title' }, h('h2', { id: 'history-title' }, t('budget.history')), charges.length ? [falling(charges, width),
        h('div', { class: 'table', tabindex: 0, role: 'region', 'aria-label': t('budget.table') }, h('table', {}, h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, t('budget.when')), h('th', { scope: 'col' }, t('budget.who')), h('th', { scope: 'col', class: 'n' }, t('budget.cost')), h('th', { scope: 'col', class: 'n' }, t('budget.after')))),
          h('tbody', {}, recent.map((c) => h('tr', {}, h('td', {}, time(c.time)), h('td', {}, c.researcher), h('td', { class: 'n' }, number(c.epsilon)), h('td', { class: 'n' }, percent(1 - c.remaining.spent)))))))] : h('p', { class: 'muted' }, t('budget.none'))));
  }, state)];
}

/** permit shows what a hospital permits the study: its scope, its limits, and the rest of its budget. */
function permit(state, p, narrowest) {
  if (!p) return h('p', { class: 'muted small' }, t('permit.out', { study: state.study }));
  const head_ = h('h3', {}, t('permit.title', { study: state.study }));
  const x = p.terms;
  if (!x) return [head_, h('p', { class: 'muted' }, p.status ? h('span', { class: 'chip warn', lang: 'en' }, p.status) : t('permit.unheard'))];
  const fact = (name, value) => h('div', {}, h('dt', {}, t(name)), h('dd', {}, value));
  const tables = Object.entries(x.tables).sort(([a], [b]) => a.localeCompare(b));
  const scope = tables.length === 0 ? '' : tables.length === 1 && tables[0][0] === '*' && tables[0][1].includes('*') ? t('permit.every')
    : h('details', {}, h('summary', {}, t(tables.length === 1 ? 'permit.table' : 'permit.tables', { n: tables.length })), h('ul', { class: 'small' }, tables.map(([name, columns]) => h('li', {}, h('span', { class: 'mono' }, name === '*' ? t('permit.others') : name), ': ', columns.includes('*') ? t('permit.all') : columns.join(', ')))));
  return [head_, narrowest ? h('span', { class: 'chip warn' }, t('permit.narrowest')) : '', h('dl', { class: 'facts narrow' },
    fact('permit.study', `${percent(1 - x.study.remaining.spent)} / ε ${number(x.study.budget.epsilon)}`), fact('permit.whole', `${percent(1 - x.whole.remaining.spent)} / ε ${number(x.whole.budget.epsilon)}`),
    fact('permit.query', `ε ${number(x.min_epsilon)} – ${number(x.max_epsilon)}`), scope ? fact('permit.scope', scope) : '', x.aggregates.length ? fact('permit.aggregates', x.aggregates.map((a) => t(`request.${a}`)).join(', ')) : '',
    x.max_rows ? fact('permit.limits', t('permit.rows', { rows: number(x.max_rows), groups: number(x.max_groups) })) : '', fact('budget.expires', day(x.expires)))];
}

/** operation makes the operators' page. */
export function operation(state) {
  const place = later(load, show, state);
  const again = setInterval(() => {
    if (!place.isConnected) clearInterval(again);
    else if (!document.hidden) place.fill();
  }, AGAIN);
  return [head(t('operation.title'), t('operation.words')), place];
}

export function hospitals(state) {
  const place = later(() => Promise.all([server.hospitals(), state.study ? server.permits(state.study) : [], state.refresh()]), ([federation, permits]) => {
    state.federation = federation;
    const permitted = new Map(permits.map((p) => [p.hospital, p]));
    // Each hospital's remaining epsilon, of the study or over all studies. The least is marked if others have more.
    const lefts = permits.filter((p) => p.terms).map((p) => [p.hospital, Math.min(p.terms.study.remaining.epsilon, p.terms.whole.remaining.epsilon)]);
    const least = Math.min(...lefts.map(([, left]) => left));
    const narrow = new Set(lefts.some(([, left]) => left > least) ? lefts.filter(([, left]) => left === least).map(([name]) => name) : []);
    return h('div', { class: 'stack' },
      h('div', { class: `notice ${federation.ready ? 'good' : 'warn'}` }, icon(federation.ready ? 'check' : 'warn'), h('span', {}, t(federation.ready ? 'hospitals.ready' : 'hospitals.few'))),
      h('ul', { class: 'hospitals' }, federation.hospitals.map((x) => h('li', { class: 'card' },
        h('div', { class: 'row' }, h('h2', {}, x.name), h('span', { class: `chip right ${x.present ? 'good' : 'bad'}` }, h('span', { class: 'dot', 'aria-hidden': 'true' }), t(x.present ? 'hospitals.up' : 'hospitals.down'))),
        x.present ? h('dl', { class: 'facts narrow' }, h('div', {}, h('dt', {}, t('hospitals.data')), h('dd', { class: 'mono cut', title: x.data_version }, x.data_version)),
          h('div', {}, h('dt', {}, t('hospitals.fast')), h('dd', {}, state.speeds.has(x.name) ? t('run.seconds', { n: number(state.speeds.get(x.name)) }) : h('span', { class: 'muted' }, t('hospitals.never')))))
          : h('p', { class: 'muted', lang: 'en' }, `${x.name} ${x.why}`), permits.length ? permit(state, permitted.get(x.name), narrow.has(x.name)) : ''))));
  }, state);
  const again = setInterval(() => {
    if (!place.isConnected) clearInterval(again);
    else if (!document.hidden) place.fill();
  }, AGAIN);
  return [head(t('hospitals.title'), t('hospitals.words', { n: state.federation.required, all: state.federation.hospitals.length })), place];
}

export function catalog(state, ask) {
  const { catalog: c } = state;
  const list = h('div', { class: 'stack' });
  const count = h('span', { class: 'muted small', role: 'status' });
  const find = h('input', { type: 'search', id: 'find', oninput: debounce(() => paint(), 120) });
  const titles = () => h('tr', {}, ['column', 'type', 'bounds', 'means'].map((x) => h('th', { scope: 'col' }, t(`catalog.${x}`))));
  const line = (x) => h('tr', {}, h('th', { scope: 'row', class: 'mono' }, x.name), h('td', {}, x.type), h('td', { class: 'mono' }, bounds(x)),
    h('td', { lang: 'en' }, x.description, x.references ? h('span', { class: 'muted' }, ` ${t('catalog.refers', { to: x.references })}`) : ''));
  const columns = (table, hits) => h('div', { class: 'table', tabindex: 0, role: 'region', 'aria-label': table.name },
    h('table', { class: 'columns' }, h('thead', {}, titles()), h('tbody', {}, table.columns.filter((x) => !hits || hits(x) || hits(table)).map(line))));
  function paint() {
    const words = find.value.trim().toLowerCase();
    const hits = words ? (x) => x.name.toLowerCase().includes(words) || (x.description || '').toLowerCase().includes(words) : null;
    const found = c.tables.filter((x) => !hits || hits(x) || x.columns.some(hits));
    count.textContent = t(found.length === 1 ? 'catalog.foundOne' : 'catalog.found', { n: found.length });
    list.replaceChildren(...found.map((table) => {
      const body = h('div', { class: 'stack' });
      const box = h('details', { class: 'card table-card', open: Boolean(hits) && found.length <= 3, ontoggle: () => fill() }, h('summary', {}, h('h2', { class: 'mono' }, table.name), h('span', { class: `chip ${table.public ? '' : 'good'}` }, t(table.public ? 'catalog.public' : 'catalog.private')), table.one_row_per_patient ? h('span', { class: 'chip' }, t('catalog.oneRow')) : '', h('span', { class: 'muted small', lang: 'en' }, table.description)), body);
      function fill() {
        if (!box.open || body.childElementCount) return;
        const about = table.public ? '' : h('button', { type: 'button', onclick: () => ask(`SELECT COUNT(*) AS rows, COUNT(DISTINCT patient) AS patients\nFROM ${table.name}`) }, t('catalog.ask'));
        body.replaceChildren(columns(table, hits), h('div', {}, about));
      }
      fill();
      return box;
    }));
  }
  paint();
  const file = h('button', { type: 'button', class: 'right', onclick: async () => {
    try { save(await server.catalogFile(), `${c.name}.yaml`); } catch (error) { said.replaceChildren(problem(error)); }
  } }, icon('down'), t('catalog.file'));
  const said = h('div', {});
  return [head(t('catalog.title'), t('catalog.words'), file), said, h('p', { class: 'muted small dummy' }, t('catalog.dummy'), ' ', h('code', {}, `intramuros demo --catalog ${c.name}.yaml`)), h('div', { class: 'row find' }, h('label', { for: 'find' }, t('catalog.find')), find, count,
    h('span', { class: 'muted small right' }, t('catalog.limits', { groups: c.max_groups, rows: c.max_rows, sites: c.max_sites ? t('catalog.sites', { n: c.max_sites }) : t('catalog.allSites') }))), list];
}

export function past(state, open) {
  const all = state.past.all();
  const page = [head(t('past.questions'), t('past.words')), list(state.saved, open, () => open(null)), h('div', { class: 'row history' }, h('h2', {}, t('past.title')), all.length ? h('button', { type: 'button', class: 'right', onclick: () => { state.past.clear(); open(null); } }, t('past.clear')) : '')];
  if (!all.length) return [...page, h('p', { class: 'muted' }, t('past.none'))];
  return [...page, h('ol', { class: 'past' }, all.map((e) => h('li', { class: 'card' }, h('pre', { class: 'mono' }, e.sql), h('div', { class: 'row small muted' }, h('span', {}, time(e.time)),
    e.code ? h('span', { class: 'chip warn' }, t('past.failed', { code: e.code })) : [h('span', { class: 'chip' }, e.rows === 1 ? t('answer.row') : t('answer.rows', { n: e.rows })), h('span', { class: 'chip' }, e.epsilon ? t('answer.cost', { n: number(e.epsilon) }) : t('answer.free'))],
    h('button', { type: 'button', class: 'right', onclick: () => open(e.request) }, t('past.open'))))))];
}
