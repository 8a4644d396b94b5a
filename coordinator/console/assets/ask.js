// The page for asking questions.

import { debounce, h, icon, say } from './dom.js';
import { has, language, number, percent, t } from './language.js';
import { Editor } from './editor.js';
import { meter, problem, share, told } from './parts.js';
import { show } from './answer.js';
import { keep } from './saved.js';
import * as server from './server.js';

/** link returns the address of a question. */
export function link(request) {
  const values = new URLSearchParams();
  for (const [k, v] of Object.entries(request)) if (v !== undefined && v !== '') values.set(k, v);
  return `${location.origin}${location.pathname}#${values}`;
}

/** linked reads the question from an address. It returns null if the address has no question. */
export function linked(hash) {
  const values = new URLSearchParams(hash.replace(/^#/, ''));
  if (!values.has('sql')) return null;
  const request = { sql: values.get('sql').slice(0, 262144), study: values.get('study') || undefined };
  for (const name of ['epsilon', 'max_groups', 'max_rows']) if (Number(values.get(name)) > 0) request[name] = Number(values.get(name));
  const accuracy = values.get('accuracy');
  if (accuracy) request.accuracy = accuracy.endsWith('%') ? accuracy : Number(accuracy);
  return request;
}

/** examples are questions that this catalog can answer. */
function examples(catalog) {
  const offers = (name, ...columns) => {
    const table = catalog.tables.find((x) => x.name === name);
    return table && columns.every((c) => table.columns.some((x) => x.name === c));
  };
  const all = [];
  const first = catalog.tables.find((x) => !x.public);
  if (first && catalog.hospital_column) all.push(['Patients by hospital', 'Patients par hôpital', `SELECT hospital, COUNT(DISTINCT patient) AS patients\nFROM ${first.name}\nGROUP BY hospital\nORDER BY hospital`]);
  else if (first) all.push(['How many patients', 'Combien de patients', `SELECT COUNT(DISTINCT patient) AS patients\nFROM ${first.name}`]);
  if (offers('person', 'year_of_birth')) all.push(['Age pyramid', 'Pyramide des âges', 'SELECT FLOOR((2024 - year_of_birth) / 10) * 10 AS age_from,\n       COUNT(*) AS patients\nFROM person\nWHERE year_of_birth BETWEEN 1925 AND 2024\nGROUP BY age_from\nORDER BY age_from']);
  if (offers('death', 'death_date')) all.push(['Deaths by year', 'Décès par an', "SELECT YEAR(death_date) AS year, COUNT(*) AS deaths\nFROM death\nWHERE death_date BETWEEN '2015-01-01' AND '2024-12-31'\nGROUP BY year\nORDER BY year"]);
  if (offers('measurement', 'value_as_number', 'measurement_concept_id')) all.push(['Systolic pressure, histogram', 'Pression systolique, histogramme', 'SELECT HISTOGRAM(value_as_number, 80, 200, 12) AS systolic\nFROM measurement\nWHERE measurement_concept_id = 3004249']);
  if (offers('condition_occurrence', 'condition_start_date') && catalog.hospital_column) all.push(['Influenza by month and hospital', 'Grippe par mois et hôpital', 'SELECT hospital, MONTH(condition_start_date) AS month,\n       COUNT(DISTINCT patient) AS patients\nFROM condition_occurrence\nWHERE condition_concept_id = 4266367\nGROUP BY hospital, month\nORDER BY hospital, month']);
  if (offers('observation_period', 'observation_period_end_date') && offers('death', 'death_date')) all.push(['Survival by sex', 'Survie par sexe', "SELECT * FROM KAPLAN_MEIER((\n  SELECT DATEDIFF('day', o.start_date, COALESCE(d.death_date, o.end_date)) AS t,\n         d.death_date IS NOT NULL AS died,\n         CASE p.gender_concept_id WHEN 8532 THEN 'women' ELSE 'men' END AS sex\n  FROM person p\n  JOIN (SELECT person_id, MIN(observation_period_start_date) AS start_date,\n               MAX(observation_period_end_date) AS end_date\n        FROM observation_period GROUP BY person_id) o ON o.person_id = p.person_id\n  LEFT JOIN death d ON d.person_id = p.person_id\n), step => 30, horizon => 1800, every => 90)"]);
  return all;
}

const NAMES = { laplace: 'Laplace', gaussian: 'Gauss', zcdp: 'zCDP', pure: 'pure-ε' };

/** build makes the page. state outlives the page: it holds the question, the answer and the running query. */
export function build(state) {
  const { catalog } = state;
  const request = () => {
    const q = { sql: editor.text, study: state.study };
    const value = state.value.trim();
    if (state.precision === 'epsilon' && Number(value) > 0) q.epsilon = Number(value);
    if (state.precision === 'accuracy' && value) q.accuracy = value.endsWith('%') ? value : Number(value.replace(',', '.')) || value;
    if (state.maxGroups > 0) q.max_groups = state.maxGroups;
    if (state.maxRows > 0) q.max_rows = state.maxRows;
    return q;
  };

  // Shows the price while the reader types.
  const cost = h('div', { class: 'cost-body', 'aria-live': 'polite' });
  const below = h('div', { id: 'sql-error', class: 'editor-error', 'aria-live': 'polite' });
  let asking = null;
  async function price() {
    if (asking) asking.abort();
    below.replaceChildren();
    if (!editor.text.trim()) {
      cost.replaceChildren(h('p', { class: 'muted' }, t('cost.empty')));
      return;
    }
    asking = new AbortController();
    try {
      state.outline = await server.outline(request(), asking.signal);
      editor.mark(null);
      priced();
    } catch (error) {
      if (error.name === 'AbortError') return;
      if (error.status === 401) { state.ended(); return; }
      state.outline = null;
      fault(error);
    }
  }
  function fault(error) {
    editor.mark(error);
    cost.replaceChildren(h('p', { class: 'muted' }, t('cost.wait')));
    below.replaceChildren(h('div', { class: 'fault' }, icon('warn'), h('div', {}, h('strong', {}, has(`code.${error.code}`) ? t(`code.${error.code}`) : error.code),
      error.line > 0 ? h('span', { class: 'muted' }, ` · ${t('error.position', error)}`) : '', h('div', { lang: 'en' }, `${error.message}${error.hint ? '. ' : ''}`, error.hint ? h('span', { class: 'muted' }, error.hint) : ''))));
  }
  function priced() {
    const o = state.outline;
    if (!o) return;
    if (o.cost.epsilon === 0) { // no new question about patients is free, so this one is about public data
      cost.replaceChildren(h('p', { class: 'price muted' }, t('cost.informs')));
      return;
    }
    const left = state.budget && state.budget.remaining;
    const parts = [o.stored ? h('p', { class: 'price' }, h('strong', { class: 'big' }, t('cost.stored')))
      : h('p', { class: 'price' }, h('span', { class: 'muted' }, t('cost.spends')), ' ', h('strong', { class: 'big' }, `ε ${number(o.cost.epsilon)}`))];
    if (left && !o.stored) {
      const of = share(o.cost, left);
      const tiny = of.part > 0 && of.part < 0.001;
      const words = (x) => (tiny && x === of.part ? `< ${percent(0.001)}` : percent(x));
      const after = Math.max(0, of.left - of.part);
      parts.push(meter(left.spent, of.part, t('cost.meter', { spent: percent(left.spent), share: words(of.part) })));
      if (!of.enough) parts.push(h('div', { class: 'notice bad' }, icon('warn'), h('span', {}, t('cost.tooMuch', { left: percent(of.left) }))));
      else {
        const more = Math.floor(after / of.part + 1e-9);
        parts.push(h('p', { class: 'small' }, t('cost.share', { share: words(of.part), left: percent(after) }), '. ', h('span', { class: 'muted' }, more > 0 ? t('cost.more', { n: number(more) }) : t('cost.once'), '.')));
      }
    }
    for (const w of o.warnings) parts.push(h('div', { class: 'notice warn small' }, icon('warn'), told(w)));
    if (o.away.length) parts.push(h('div', { class: 'notice warn small' }, icon('warn'), h('div', {}, t('cost.away'), h('ul', { lang: 'en' }, o.away.map((a) => h('li', {}, `${a.name} ${a.why}`))))));
    // All columns of one HISTOGRAM share one line.
    const all = [];
    for (const x of o.expected) {
      const base = x.column.replace(/ \[[^\]]*\)$/, '');
      const last = all[all.length - 1];
      if (last && base !== x.column && last.base === base && last.half_width === x.half_width) Object.assign(last, { column: `${base} […]` });
      else all.push({ ...x, base });
    }
    const seen = all.length > 7 ? all.slice(0, 6) : all;
    if (!all.length) seen.push({ column: o.columns.filter((c) => c.noisy).map((c) => c.name).join(', '), half_width: null, note: '' });
    parts.push(h('div', { class: 'expected' }, h('h3', {}, t('cost.error', { confidence: percent(o.confidence) })), h('ul', {}, seen.map((x) => h('li', {},
      h('span', { class: 'mono' }, x.column), x.half_width === null ? '' : h('strong', {}, `± ${number(x.half_width)}`),
      x.half_width === null || x.note ? h('span', { class: 'muted' }, ' ', told(x.note || 'depends on the answer')) : '')),
    all.length > seen.length ? h('li', { class: 'muted' }, `… ${all.length}`) : '')));
    parts.push(h('p', { class: 'muted small' }, t('cost.noise', { mechanism: NAMES[o.cost.mechanism] || o.cost.mechanism, accounting: NAMES[o.cost.accounting] || o.cost.accounting }), '. ', o.stored ? '' : t('cost.free')));
    parts.push(h('button', { type: 'button', class: 'quiet plan', onclick: plan }, t('cost.plan')));
    cost.replaceChildren(...parts);
  }
  async function plan() {
    const body = h('div', {}, h('p', { class: 'muted' }, t('app.loading')));
    const box = h('dialog', { 'aria-labelledby': 'plan-title', onclose: () => box.remove() }, h('div', { class: 'row' }, h('h2', { id: 'plan-title' }, t('plan.title')),
      h('button', { type: 'button', class: 'right', onclick: () => box.close() }, t('app.close'))), body);
    document.body.append(box);
    box.showModal();
    try {
      const e = await server.explain(request());
      body.replaceChildren(e.stored ? h('div', { class: 'notice good' }, icon('check'), t('plan.stored')) : '',
        e.problems.length ? h('div', { class: 'notice warn' }, icon('warn'), h('div', {}, h('strong', {}, t('plan.problems')), h('ul', { lang: 'en' }, e.problems.map((p) => h('li', {}, `${p.name} ${p.why}`))))) : '',
        ...e.warnings.filter((w) => !e.plan.includes(w)).map((w) => h('div', { class: 'notice warn' }, icon('warn'), told(w))),
        h('h3', {}, t('plan.plan')), h('pre', { tabindex: 0, lang: 'en' }, e.plan),
        ...(e.keys.length ? [h('h3', {}, t('plan.keys')), h('ul', {}, e.keys.map((k) => h('li', {}, `${k.hospital} `, k.fingerprint ? h('span', { class: 'mono' }, k.fingerprint) : t('plan.noKey')))), h('p', { class: 'muted small' }, t('plan.keysWords'))] : []),
        ...e.sql.flatMap((x) => [h('h3', {}, t('plan.at', { engine: x.engine, hospitals: x.hospitals.join(', ') })), h('pre', { tabindex: 0 }, x.sql)]));
    } catch (error) {
      body.replaceChildren(problem(error));
    }
  }
  state.repriced = priced;

  const soon = debounce(price, 90);
  const editor = new Editor({
    tables: () => catalog.tables, run: () => run(),
    changed: (text) => { state.sql = text; soon(); },
  });
  state.editor = editor;

  // Runs the question.
  const result = h('div', { class: 'result' });
  const runButton = h('button', { type: 'button', class: 'main', onclick: () => run() }, icon('play'), t('ask.run'));
  const cancelButton = h('button', { type: 'button', class: 'danger hidden', onclick: () => state.running && state.running.abort() }, icon('stop'), t('ask.cancel'));
  async function run() {
    if (state.running || !editor.text.trim()) return;
    const q = request();
    const steps = new Map(state.federation.hospitals.map((x) => [x.name, null]));
    const list = h('ul', { class: 'steps' });
    const paint = () => list.replaceChildren(...[...steps].map(([name, p]) => h('li', { class: p ? `step-${p.state}` : 'step-waiting' }, h('span', { class: 'step-dot', 'aria-hidden': 'true' }), h('strong', {}, name),
      h('span', { class: 'muted' }, t(`run.${p ? p.state : 'waiting'}`), p && p.state === 'failed' ? h('span', { lang: 'en' }, `: ${p.why}`) : ''), p ? h('span', { class: 'muted right' }, t('run.seconds', { n: number(p.seconds) })) : '')));
    paint();
    result.replaceChildren(h('section', { class: 'card running', 'aria-labelledby': 'run-title' }, h('h2', { id: 'run-title' }, t('run.title')), list, h('p', { class: 'muted small' }, t('run.words'))));
    say(t('run.title'));
    state.running = new AbortController();
    state.answer = null;
    runButton.classList.add('hidden');
    cancelButton.classList.remove('hidden');
    cancelButton.focus();
    const entry = { sql: q.sql, request: q, time: Date.now() };
    try {
      const answer = await server.query(q, (p) => {
        steps.set(p.hospital, p);
        if (p.state === 'answered') state.speeds.set(p.hospital, p.seconds);
        paint();
      }, state.running.signal);
      Object.assign(entry, { epsilon: answer.stored ? 0 : answer.cost.epsilon, rows: answer.rows.length });
      state.answer = { answer, request: q };
      const card = show(answer, q);
      result.replaceChildren(card);
      card.querySelector('h2').focus({ preventScroll: true });
      card.scrollIntoView({ block: 'nearest', behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' });
      say(`${t('answer.title')}: ${t('answer.rows', { n: answer.rows.length })}`);
    } catch (error) {
      if (error.name === 'AbortError') {
        entry.code = 'CANCELED';
        result.replaceChildren(h('div', { class: 'notice warn', role: 'alert' }, icon('stop'), h('span', {}, t('run.canceled'))));
      } else {
        entry.code = error.code;
        if (error.status === 401) { state.ended(); return; }
        if (error.line > 0) fault(error);
        result.replaceChildren(problem(error));
      }
      runButton.classList.remove('hidden');
      runButton.focus();
    } finally {
      state.running = null;
      runButton.classList.remove('hidden');
      cancelButton.classList.add('hidden');
    }
    state.past.add(entry);
    await state.refresh();
    await price(); // a stored answer costs nothing
  }

  // The question's settings.
  const value = h('input', { type: 'text', id: 'precision-value', inputmode: 'decimal', size: 8, value: state.value, 'aria-label': t('ask.value'), oninput: () => { state.value = value.value; soon(); } });
  const precision = h('select', { id: 'precision', onchange: () => { state.precision = precision.value; settle(); soon(); } }, ['default', 'epsilon', 'accuracy'].map((x) => h('option', { value: x, selected: x === state.precision }, t(`ask.${x}`))));
  const settle = () => {
    value.classList.toggle('hidden', state.precision === 'default');
    value.setAttribute('placeholder', state.precision === 'accuracy' ? '5%' : '0.5');
    value.title = state.precision === 'accuracy' ? t('ask.accuracyHelp') : '';
  };
  settle();
  const limit = (id, key, words, now) => h('label', { for: id }, t(words), ' ', h('input', { type: 'number', id, min: 1, max: 100000, value: state[key] || '', placeholder: now, oninput: (e) => { state[key] = Number(e.target.value); soon(); } }));
  const list = examples(catalog);
  const picked = h('select', { 'aria-label': t('ask.example'), onchange: () => { if (!picked.value) return; editor.insert(list[Number(picked.value)][2], 0, editor.text.length); picked.value = ''; } },
    h('option', { value: '' }, `${t('ask.example')} …`), list.map((x, i) => h('option', { value: i }, x[language() === 'fr' ? 1 : 0])));
  const copied = h('span', { class: 'muted small', role: 'status' });

  editor.text = state.sql;
  const page = h('div', { class: 'ask' },
    h('section', { class: 'card question', 'aria-labelledby': 'ask-title' },
      h('div', { class: 'row' }, h('h1', { id: 'ask-title' }, t('ask.title')), h('div', { class: 'row right' }, list.length ? picked : '')),
      h('p', { class: 'muted' }, t('ask.words')),
      editor.element, below,
      h('div', { class: 'row settings' }, h('label', { for: 'precision' }, t('ask.precision')), precision, value,
        h('details', { class: 'limits', open: state.maxGroups > 0 || state.maxRows > 0 }, h('summary', {}, t('ask.limits')), h('div', { class: 'row' }, limit('max-groups', 'maxGroups', 'ask.maxGroups', catalog.max_groups), limit('max-rows', 'maxRows', 'ask.maxRows', catalog.max_rows)))),
      h('div', { class: 'row actions' }, runButton, cancelButton,
        h('button', { type: 'button', class: 'quiet', onclick: async () => {
          try { await navigator.clipboard.writeText(link(request())); copied.textContent = t('ask.linkCopied'); } catch { location.hash = new URL(link(request())).hash; }
        } }, icon('link'), t('ask.copyLink')),
        h('button', { type: 'button', class: 'quiet', onclick: () => { if (editor.text.trim()) keep(state.saved, request(), (words) => { copied.textContent = words; }); } }, t('saved.keepThis')), copied,
        h('span', { id: 'sql-keys', class: 'keys muted small' }, h('kbd', {}, 'Ctrl'), ' ', h('kbd', {}, '↵'), ' ', t('ask.keys'), '  ', h('kbd', {}, 'Ctrl'), ' ', h('kbd', {}, '␣'), ' ', t('ask.keysMore')))),
    h('aside', { class: 'card cost', 'aria-labelledby': 'cost-title' }, h('h2', { id: 'cost-title' }, t('cost.title')), cost), result);
  if (state.answer) result.replaceChildren(show(state.answer.answer, state.answer.request));
  price();
  return page;
}
