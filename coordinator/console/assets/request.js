// The form for requesting a study. It writes the document that an operator proposes. The form itself gives no right:
// the reader saves the file and sends it to the operator. The operator proposes it, and each hospital's custodian
// decides.

import { h, save, say } from './dom.js';
import { t } from './language.js';

const AGGREGATES = ['count', 'sum', 'distribution'];

/** yaml writes a document in the form of docs/study.yaml. It quotes every text, so that YAML reads it as a text. */
export function yaml(d) {
  const text = (x) => JSON.stringify(x);
  const list = (all) => `[${all.map(text).join(', ')}]`;
  const lines = [
    '# A study that is asked for. The operator: intramuros study propose FILE …', `id: ${text(d.id)}`, 'version: 1', `title: ${text(d.title)}`, `purpose: ${text(d.purpose)}`, `legal_basis: ${text(d.legal_basis)}`,
    `investigators: ${list(d.investigators)}`, ...(d.hospitals.length ? [`hospitals: ${list(d.hospitals)}`] : []), 'tables:', ...Object.entries(d.tables).map(([name, columns]) => `  ${text(name)}: ${list(columns)}`),
    `aggregates: ${list(d.aggregates)}`, `budget: {accounting: ${d.accounting}, epsilon: ${d.epsilon}, delta: ${d.delta}}`, `max_epsilon: ${d.max_epsilon}`, `default_epsilon: ${d.default_epsilon}`, `default_delta: ${d.default_delta}`,
    `sealed: ${d.sealed}`, `expires: ${d.expires}`,
  ];
  return `${lines.join('\n')}\n`;
}

const plain = (x) => { // YAML 1.1 would read 1e-6 as a text
  const s = String(Number(x));
  return /e/.test(s) && !/\./.test(s) ? s.replace('e', '.0e') : s;
};
const words = (x) => x.split(/[\s,]+/).filter(Boolean);

export function request(state) {
  const { me, catalog, federation } = state;
  const field = (name, input, help) => {
    const id = `study-${name}`;
    input.id = id;
    if (help) input.setAttribute('aria-describedby', `${id}-help`);
    return h('div', { class: 'field' }, h('label', { for: id }, t(`request.${name}`)), input, help ? h('p', { id: `${id}-help`, class: 'muted small' }, t(help)) : '');
  };
  const line = (value = '') => h('input', { type: 'text', required: true, maxlength: 400, value });
  const amount = (value, most) => h('input', { type: 'number', required: true, min: 0, max: most, step: 'any', value });
  const long = () => h('textarea', { class: 'plain', rows: 3, required: true, maxlength: 3900 });
  const box = (value, checked, label = value) => {
    const input = h('input', { type: 'checkbox', value, checked });
    return [input, h('label', { class: 'check' }, input, ' ', label)];
  };
  const group = (name, boxes) => h('fieldset', {}, h('legend', {}, t(`request.${name}`)), h('div', { class: 'row' }, boxes.map(([, label]) => label)));

  const id = h('input', { type: 'text', required: true, pattern: '[a-z0-9]([a-z0-9._\\-]{0,61}[a-z0-9])?', maxlength: 63, placeholder: 'diabetes-2027' });
  const title = line();
  const purpose = long();
  const legal = line();
  const investigators = line(me.researcher);
  const hospitals = federation.hospitals.map((x) => box(x.name, true));
  const columns = catalog.tables.filter((x) => !x.public).map((table) => {
    const [input, label] = box(table.name, false);
    const which = h('input', { type: 'text', class: 'grow', value: '*', 'aria-label': `${table.name}: ${t('request.columns')}`, disabled: true });
    input.addEventListener('change', () => { which.disabled = !input.checked; });
    return { table, input, which, element: h('div', { class: 'row' }, label, which) };
  });
  const aggregates = AGGREGATES.map((x) => box(x, true, t(`request.${x}`)));
  const sealed = box('sealed', true, t('request.sealed'));
  const epsilon = amount(10, 1e6);
  const delta = amount(0.000001, 0.99);
  const most = amount(1, 1e6);
  const usual = amount(0.2, 1e6);
  const expires = h('input', { type: 'date', required: true, min: new Date(Date.now() + 86400e3).toISOString().slice(0, 10) });
  const said = h('div', { role: 'alert' });

  /** wrong describes the first fault, if there is one. */
  function wrong(d) {
    if (!Object.keys(d.tables).length) return t('request.noTable');
    for (const { table, input, which } of columns) {
      const unknown = input.checked && words(which.value).find((c) => c !== '*' && !table.columns.some((x) => x.name === c));
      if (unknown) return t('request.noColumn', { table: table.name, column: unknown });
    }
    if (!d.aggregates.length) return t('request.noAggregate');
    if (!hospitals.some(([input]) => input.checked)) return t('request.noHospital');
    if (!(Number(usual.value) > 0 && Number(usual.value) <= Number(most.value) && Number(most.value) <= Number(epsilon.value))) return t('request.noOrder');
    return '';
  }

  const checked = (all) => all.filter(([input]) => input.checked).map(([input]) => input.value);
  const document_ = () => ({
    id: id.value, title: title.value.trim(), purpose: purpose.value.trim(), legal_basis: legal.value.trim(), investigators: words(investigators.value),
    hospitals: hospitals.every(([input]) => input.checked) ? [] : checked(hospitals),
    tables: Object.fromEntries(columns.filter((c) => c.input.checked).map((c) => [c.table.name, words(c.which.value).length ? words(c.which.value) : ['*']])),
    aggregates: checked(aggregates), accounting: 'zcdp', epsilon: plain(epsilon.value), delta: plain(delta.value), max_epsilon: plain(most.value), default_epsilon: plain(usual.value), default_delta: '1.0e-8',
    sealed: sealed[0].checked, expires: expires.value,
  });

  return [h('div', { class: 'page-head' }, h('div', {}, h('h1', { tabindex: -1 }, t('request.title')), h('p', {}, t('request.words')))),
    h('form', { class: 'card stack request', onsubmit: (e) => {
      e.preventDefault();
      const d = document_();
      const fault = wrong(d);
      said.replaceChildren(fault ? h('div', { class: 'notice bad' }, fault) : '');
      if (fault) return;
      save(new Blob([yaml(d)], { type: 'application/yaml' }), `${d.id}.yaml`);
      said.replaceChildren(h('div', { class: 'notice good' }, t('request.saved', { name: `${d.id}.yaml` })));
      say(t('request.saved', { name: `${d.id}.yaml` }));
    } }, field('id', id, 'request.idHelp'), field('name', title), field('purpose', purpose), field('legal', legal, 'request.legalHelp'), field('investigators', investigators, 'request.investigatorsHelp'),
    group('hospitals', hospitals), h('fieldset', {}, h('legend', {}, t('request.tables')), h('p', { class: 'muted small' }, t('request.tablesHelp')), h('div', { class: 'pick' }, columns.map((c) => c.element))),
    group('aggregates', aggregates), h('div', { class: 'grid' }, field('epsilon', epsilon, 'request.epsilonHelp'), field('delta', delta), field('most', most), field('usual', usual), field('expires', expires)),
    h('div', {}, sealed[1]), h('p', { class: 'muted small' }, t('request.sealedHelp')), said, h('div', { class: 'row' }, h('button', { type: 'submit', class: 'main' }, t('request.save'))))];
}
