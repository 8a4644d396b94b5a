// The answer: the data and limits behind it, a chart, a table, files.

import { h, icon, save, say } from './dom.js';
import { number, percent, t } from './language.js';
import { alone, draw, kinds, mainOf, onlyNoise, picture, read } from './chart.js';
import { problem, told } from './parts.js';
import * as server from './server.js';

const whole = { int: true };
const numeric = (type) => type === 'int' || type === 'float';
const shown = (type, x) => (x === null || x === undefined ? '–' : typeof x === 'number' || whole[type] && Number.isSafeInteger(Number(x)) ? number(x) : String(x));

function table(answer) {
  const key = (c) => !c.noisy && (c.type === 'int') && /year|month|id$|annee|année|mois/i.test(c.name);
  return h('div', { class: 'table', tabindex: 0, role: 'region', 'aria-label': t('answer.caption') }, h('table', {},
    h('caption', { class: 'unseen' }, t('answer.caption')),
    h('thead', {}, h('tr', {}, answer.columns.map((c) => h('th', { scope: 'col', class: numeric(c.type) ? 'n' : '' }, c.name)))),
    h('tbody', {}, answer.rows.map((row) => h('tr', {}, row.map((cell, i) => {
      const c = answer.columns[i];
      if (!c.noisy) return h(i === 0 ? 'th' : 'td', { ...(i === 0 ? { scope: 'row' } : {}), class: numeric(c.type) ? 'n' : '' }, key(c) ? String(cell ?? '–') : shown(c.type, cell));
      const ends = cell.low !== null || cell.high !== null;
      const noise = onlyNoise(cell);
      return h('td', { class: noise ? 'n noise' : 'n', title: cell.value === null ? t('answer.nothing') : noise ? t('answer.noise') : undefined }, shown(c.type, cell.value), ends ? h('span', { class: 'ends' }, `${cell.low === null ? '−∞' : shown(c.type, cell.low)} – ${cell.high === null ? '∞' : shown(c.type, cell.high)}`)
        : cell.value !== null && numeric(c.type) ? h('span', { class: 'ends', title: t('answer.open') }, '± ?') : '');
    }))))));
}

/** show makes the card of an answer. request is the question with its settings. */
export function show(answer, request) {
  const data = read(answer);
  const fits = kinds(data);
  let kind = fits[0];
  let measure = mainOf(data);
  let view = kind ? 'chart' : 'table';
  const place = h('div', { class: 'answer-body' });
  const words = h('p', { class: 'muted small' });
  const kindSelect = h('select', { 'aria-label': t('answer.kind'), onchange: () => { kind = kindSelect.value; paint(); } }, fits.map((k) => h('option', { value: k }, t(`chart.${k}`))));
  const measureSelect = h('select', { 'aria-label': t('answer.measure'), onchange: () => { measure = data.measures[Number(measureSelect.value)]; paint(); } }, data.measures.map((m, i) => h('option', { value: i, selected: m === measure }, m.name)));
  const toggles = ['chart', 'table'].map((v) => h('button', { type: 'button', 'aria-pressed': 'false', disabled: v === 'chart' && !kind, onclick: () => { view = v; paint(); } }, t(`answer.${v}`)));
  let width = 0;

  function paint() {
    toggles.forEach((b, i) => b.setAttribute('aria-pressed', String(['chart', 'table'][i] === view)));
    kindSelect.classList.toggle('hidden', view !== 'chart' || fits.length < 2);
    measureSelect.classList.toggle('hidden', view !== 'chart' || data.measures.length < 2 || kind === 'figures');
    words.textContent = answer.rows.length && !answer.informs && !answer.public ? t(view === 'table' ? 'answer.intervals' : 'answer.interval', { confidence: percent(answer.confidence) }) : '';
    if (!answer.rows.length) place.replaceChildren(answer.warnings.length ? '' : h('p', { class: 'muted' }, t('answer.empty')));
    else if (view === 'table') place.replaceChildren(table(answer));
    else {
      width = Math.max(280, Math.floor(place.clientWidth || 720));
      place.replaceChildren(h('div', { class: 'chart-place' }, draw(data, kind, measure, width, answer)));
    }
    files.forEach(([format, button]) => { if (format === 'SVG' || format === 'PNG') button.disabled = view !== 'chart' || kind === 'figures' || !kind; });
  }

  const base = `intramuros-${answer.query.slice(0, 8)}`;
  async function download(format) {
    try {
      const chart = place.querySelector('svg.chart');
      const blob = format === 'CSV' ? await server.file(request, 'text/csv') : format === 'Parquet' ? await server.file(request, 'application/vnd.apache.parquet')
        : format === 'SVG' ? alone(chart) : await picture(chart);
      const name = `${base}.${format.toLowerCase()}`;
      save(blob, name);
      said.replaceChildren();
      say(t('answer.saved', { name }));
    } catch (error) {
      said.replaceChildren(problem(error));
    }
  }
  const said = h('div', {});
  const files = ['CSV', 'Parquet', 'SVG', 'PNG'].map((format) => [format, h('button', { type: 'button', class: 'quiet', onclick: () => download(format) }, format)]);

  const n = answer.hospitals.answered.length;
  const all = n + answer.hospitals.missing.length;
  const card = h('section', { class: 'card answer', 'aria-labelledby': 'answer-title' },
    h('div', { class: 'row answer-head' },
      h('h2', { id: 'answer-title', tabindex: -1 }, t('answer.title')),
      h('span', { class: 'chip' }, answer.rows.length === 1 ? t('answer.row') : t('answer.rows', { n: number(answer.rows.length) })),
      answer.informs || answer.public ? '' : h('span', { class: `chip ${n < all ? 'warn' : ''}` }, t('answer.of', { n, all })),
      h('span', { class: `chip ${answer.stored || answer.informs || answer.public ? 'good' : ''}` }, answer.informs || answer.public ? t('answer.informs') : answer.stored ? t('answer.free') : t('answer.cost', { n: number(answer.cost.epsilon) })),
      answer.sealed ? h('span', { class: 'chip good' }, t('answer.sealed')) : '',
      h('div', { class: 'row right' }, measureSelect, kindSelect, h('div', { class: 'segments', role: 'group', 'aria-label': t('answer.view') }, toggles))),
    answer.warnings.map((w) => h('div', { class: 'notice warn' }, icon('warn'), told(w))),
    answer.hospitals.missing.length ? h('ul', { class: 'muted small', lang: 'en' }, answer.hospitals.missing.map((m) => h('li', {}, `${m.name} ${m.why}`))) : '',
    place, words,
    h('div', { class: 'row downloads', role: 'group', 'aria-label': t('answer.download') }, h('span', { class: 'muted small row' }, icon('down'), t('answer.download')), files.map(([, b]) => b)), said);
  const watch = new ResizeObserver(() => {
    if (!card.isConnected) { watch.disconnect(); return; }
    if (view === 'chart' && kind !== 'figures' && Math.abs(place.clientWidth - width) > 8) paint();
  });
  watch.observe(place);
  paint();
  return card;
}
