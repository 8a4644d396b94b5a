// Shows operators the state of the federation. It shows only what the API returns for that role. No number about
// patients is exact, and none appears before researchers were told it.

import { h, icon } from './dom.js';
import { day, number, percent, t, time } from './language.js';
import * as server from './server.js';

const SOON = 30 * 86400e3; // a certificate ends soon: within this many milliseconds

const table = (name, heads, rows) => h('div', { class: 'table', tabindex: 0, role: 'region', 'aria-label': name },
  h('table', {}, h('thead', {}, h('tr', {}, heads.map((x) => h('th', { scope: 'col' }, x)))), h('tbody', {}, rows)));

function ends(at) {
  if (!at) return h('span', { class: 'muted' }, t('operation.unseen'));
  const left = Date.parse(at) - Date.now();
  return left < SOON ? h('span', { class: `chip ${left < 0 ? 'bad' : 'warn'}` }, day(at)) : day(at);
}

const versions = (w) => (w.least === w.most ? String(w.least) : `${w.least}–${w.most}`);

/** show makes the page's content. */
export function show(o) {
  const fact = (name, value) => h('div', {}, h('dt', {}, name), h('dd', {}, value));
  return h('div', { class: 'stack' },
    h('section', { class: 'card' }, h('dl', { class: 'facts' }, fact(t('operation.program'), h('span', { class: 'mono' }, o.program)), fact(t('operation.wire'), versions(o.wire)), fact(t('operation.running'), number(o.running)),
      fact(t('operation.ready'), t(o.ready ? 'operation.enough' : 'operation.few', { n: o.hospitals.filter((x) => x.present).length, all: o.hospitals.length, required: o.required })),
      o.certificates.map((c) => fact(t('operation.certificate', c), ends(c.ends))))),
    h('div', { class: 'stack' }, h('h2', { id: 'o-hospitals' }, t('page.hospitals')),
      table(t('page.hospitals'), ['hospital', 'state', 'release', 'wire', 'ends', 'met', 'data'].map((x) => t(`operation.${x}`)), o.hospitals.map((x) => h('tr', {}, h('th', { scope: 'row' }, x.name),
        h('td', {}, h('span', { class: `chip ${x.present ? 'good' : 'bad'}` }, t(x.present ? 'hospitals.up' : 'hospitals.down')), x.outward ? h('span', { class: 'chip' }, t('operation.outward')) : '',
          x.present ? '' : h('div', { class: 'muted small', lang: 'en' }, `${x.code}: ${x.why}`), x.ledger ? h('div', { class: 'notice bad small' }, icon('warn'), h('span', { lang: 'en' }, `${x.name} ${x.ledger}`)) : ''),
        h('td', { class: 'mono' }, x.program || '–'), h('td', {}, x.wire ? versions(x.wire) : '–'), h('td', {}, ends(x.certificate)), h('td', {}, x.met ? time(x.met) : '–'),
        h('td', { class: 'mono cut data', title: x.data_version }, x.data_version || '–'))))),
    h('div', { class: 'stack' }, h('h2', { id: 'o-studies' }, t('operation.studies')),
      o.studies.length ? table(t('operation.studies'), ['study', 'status', 'budget', 'left', 'until', 'where'].map((x) => t(`operation.${x}`)), o.studies.map((x) => h('tr', {}, h('th', { scope: 'row' }, x.study, h('div', { class: 'muted small' }, `${x.title} (v${x.version})`)),
        h('td', {}, h('span', { class: 'chip', lang: 'en' }, x.status), x.sealed ? h('span', { class: 'chip good' }, t('operation.sealed')) : ''), h('td', {}, `ε ${number(x.budget.epsilon)}, δ ${number(x.budget.delta)}`),
        h('td', { class: 'n' }, x.left === null ? '–' : h('span', { class: x.left < 0.2 ? 'chip warn' : '' }, percent(x.left))), h('td', {}, day(x.expires)),
        h('td', {}, Object.entries(x.hospitals).map(([name, status]) => h('span', { class: `chip ${/approved|amended/.test(status) ? 'good' : 'warn'}` }, name, ' ', h('span', { lang: 'en' }, status || '–'))))))) : h('p', { class: 'muted' }, t('operation.none'))));
}

export const load = () => server.operation();
