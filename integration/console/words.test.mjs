// Tests the consoles' texts without a browser. Each text exists in both languages, the consoles use no text outside of
// the table, and every entry of a hospital's ledger has a French translation.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';

const root = path.resolve(import.meta.dirname, '../..');
const pages = { custodian: 'node/console/assets', researcher: 'coordinator/console/assets' };
const folders = [];

/** page copies a page's modules into one folder, so that they find each other. */
async function page(name) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'intramuros-words-'));
  folders.push(folder);
  fs.writeFileSync(path.join(folder, 'package.json'), '{"type": "module"}');
  for (const from of ['internal/web/assets', pages[name]]) {
    for (const file of fs.readdirSync(path.join(root, from))) if (file.endsWith('.js')) fs.copyFileSync(path.join(root, from, file), path.join(folder, file));
  }
  const load = (file) => import(pathToFileURL(path.join(folder, file)).href);
  return { load, sources: fs.readdirSync(folder).filter((f) => f.endsWith('.js') && f !== 'messages.js').map((f) => fs.readFileSync(path.join(folder, f), 'utf8')), messages: (await load('messages.js')).messages };
}

before(() => {
  if (!globalThis.navigator) Object.defineProperty(globalThis, 'navigator', { value: { languages: ['fr-FR'] } });
  globalThis.document = { documentElement: {} };
  globalThis.localStorage = { getItem: () => null, setItem: () => {} };
});
after(() => folders.forEach((f) => fs.rmSync(f, { recursive: true })));

// Words that are the same in both languages.
const same = /^(?:Laplace|version \{n\}|\{.*\}|[^\p{L}]*|Chart|CSV|Parquet|SVG|PNG|Table|Distribution|Questions?|Exact|Budget|Version|Minimum|Maximum|Plan|Source|Intramuros|Pages|Catalogue|Type|patients|\{n\} s|1 table|\{n\} tables)$/u;

for (const name of Object.keys(pages)) {
  test(`every module of the ${name}’s page can be read`, () => {
    for (const from of ['internal/web/assets', pages[name]]) {
      for (const file of fs.readdirSync(path.join(root, from)).filter((f) => f.endsWith('.js'))) {
        const r = spawnSync(process.execPath, ['--check', '--input-type=module'], { input: fs.readFileSync(path.join(root, from, file)) });
        assert.equal(r.status, 0, `${file}: ${r.stderr}`);
      }
    }
  });

  test(`every text of the ${name}’s page is there in both languages`, async () => {
    const { sources, messages } = await page(name);
    const wrong = [];
    for (const [key, pair] of Object.entries(messages)) {
      const [en, fr] = pair;
      if (pair.length !== 2 || !en || !fr) wrong.push(`${key}: not two texts`);
      else if (en === fr && !same.test(en)) wrong.push(`${key}: the same in both: ${en}`);
      else {
        const holes = (x) => [...new Set(x.match(/\{\w+\}/g))].sort().join(' ');
        if (holes(en) !== holes(fr)) wrong.push(`${key}: ${holes(en)} in English, ${holes(fr)} in French`);
      }
    }
    for (const source of sources) {
      for (const [, key] of source.matchAll(/(?<![.\w])(?:t|has)\('([\w.]+)'/g)) if (!messages[key]) wrong.push(`${key} is said, and in no table`);
      for (const [, prefix] of source.matchAll(/\bt\(`([\w.]+\.)\$\{/g)) if (!Object.keys(messages).some((k) => k.startsWith(prefix))) wrong.push(`${prefix}… is said, and in no table`);
      for (const [, words] of source.matchAll(/\bh\('\w+', \{[^{}]*\}, '([^']*\p{L}{3}[^']*)'/gu)) if (!['Intramuros', 'Ctrl'].includes(words)) wrong.push(`“${words}” is in one language`);
    }
    assert.deepEqual(wrong, []);
  });
}

const document_ = {
  id: 'copd', version: 2, title: 'Lungs', purpose: 'To test.', legal_basis: 'CEREES 12', investigators: ['ada', '*'], tables: { person: ['sex'] }, aggregates: ['count'],
  budget: { accounting: 'zcdp', epsilon: 5, delta: 1e-6 }, max_epsilon: 1, default_epsilon: 0.5, default_delta: 0, expires: '2099-01-01T00:00:00Z', sealed: true,
};
const column = (name) => ({ op: 'column', relation: 'person', column: name, type: 'int' });
const record = (act, more) => ({ kind: 'study', study: 'copd', text: '', detail: { act, study: 'copd', hospital: 'lyon', by: 'claire', time: '2027-01-01T00:00:00Z', ...more } });
const entries = [
  ['asked', {
    kind: 'reserve', researcher: 'ada', study: 'copd', text: 'Asks for …', asked: { where: ["person.sex = 'F'"], by: ['person.year'] },
    detail: { request: { noise: { mechanism: 'gaussian', epsilon: 0.5 }, cover: {}, fragment: { partials: [{ kind: 'patients' }, { kind: 'sum', expr: column('weight') }], relations: [{ table: 'person' }], keys: [{ expr: column('year') }] } } },
  }, /ada a demandé, dans l’étude copd, le nombre de patients ; des sommes de weight, depuis person, où person\.sex = 'F', pour chaque person\.year\. Bruit : Gauss, ε 0,5, ajouté par cet hôpital/],
  ['charge', { kind: 'charge', epsilon: 0.5, text: '' }, /ε 0,5 est dépensé/],
  ['answer', { kind: 'answer', text: '', detail: { rows: 12, bytes: 900, whole: true } }, /12 groupes de sommes sont partis/],
  ['one group', { kind: 'answer', text: '', detail: { rows: 1, bytes: 90, whole: true } }, /Un groupe de sommes/],
  ['broken off', { kind: 'answer', text: '', detail: { rows: 12, bytes: 900, whole: false } }, /^Interrompu\. /],
  ['masked', { kind: 'answer', text: '', detail: { rows: 12, bytes: 900, covered: true, members: 4, named: 3 } }, /nommer 3 groupes\. Un vecteur de 12 nombres .* masqué avec ceux de 3 autres/],
  ['failure', { kind: 'failure', study: 'copd', text: '', detail: { code: 'NODE_TIMEOUT', rows: 0, count: 5, allowed: 5, suspends: true } }, /Échec 5 sur les 5 .* L’étude est suspendue/],
  ['failure of before', { kind: 'failure', study: 'copd', text: '', detail: { code: 'NODE_TIMEOUT', rows: 0, count: 0, allowed: 5 } }, /Il ne compte plus/],
  ['refusal', { kind: 'refuse', text: '12 refusals before this one are not recorded: there were too many. Refused to prepare for intramuros://f/coordinator/hub: this hospital allows no epsilon (as large) as this query’s (NODE_LIMIT). Asks for the\nnumber of patients.' }, /^12 refus avant celui-ci .* Refusé : cet hôpital n’autorise pas .* \(NODE_LIMIT\)\./],
  ['policy', { kind: 'config', text: '', detail: { budget: { epsilon: 20 }, operators: ['olga'], custodians: ['claire', 'bert'], signatures_required: 2, sealed: { required: true, key: 'ab12' } } }, /olga peuvent proposer des études, claire, bert en décident\. Ce qui ouvre une étude doit être signé par 2 .* ab12.* Rien ne sort/],
  ['stop', { kind: 'config', text: '', detail: { suspended: true, reason: 'Un incident.', by: 'claire' } }, /^claire a arrêté cet hôpital : .* Un incident\.$/],
  ['one who left', { kind: 'config', text: '', detail: { budget: { epsilon: 20 }, operators: ['olga'], custodians: ['claire'], former: ['bert'] } }, /bert : départ, ne signent plus rien\./],
  ['a signature under the end of a stop', { kind: 'config', text: '', detail: { suspended: true, reason: 'Fini.', by: 'claire', release: { by: 'claire' } } }, /^claire a signé que cet hôpital répond de nouveau ; il reste arrêté .* Fini\.$/],
  ['stop without a name', { kind: 'config', text: '', detail: { suspended: false, reason: '' } }, /^Le responsable des données laisse/],
  ['data', { kind: 'data', text: '', detail: { data_version: 'ab' } }, /nouvel état : ab/],
  ['proposal', record('propose', { hospital: '', by: 'olga', document: document_ }), /^olga a proposé la version 2 de l’étude copd, « Lungs » \(CEREES 12\) : ε 5 .* jusqu’au 1 janvier 2099, pour ada, tout chercheur, scellée\.$/],
  ['approval', { ...record('approve', { document: document_, reason: 'bien\nainsi' }), text: 'x. It opens nothing before 1 more of the custodians have signed the same.' }, /a approuvé[^]* ; motif : bien\nainsi\. Rien ne s’ouvre avant que 1/],
  ['resumption', record('resume', { document: document_ }), /a repris la version 2/],
  ['narrowing', record('narrow', { document: document_ }), /a restreint la version 2/],
  ['pinned keys', { kind: 'config', text: 'x', detail: { budget: { epsilon: 1 }, operators: ['olga'], custodians: ['claire'], sealed: { required: true, key: 'SHA256:own', peers: { nantes: 'SHA256:n', rennes: 'SHA256:r' } } } },
    /que les autres épinglent, est SHA256:own\. Il masque ses nombres avec ceux de ces hôpitaux, par les clés épinglées ici : nantes \(SHA256:n\), rennes \(SHA256:r\)\./],
  ['suspension', record('suspend', { reason: 'une question' }), /^claire a suspendu l’étude copd ; motif : une question\.$/],
  ['end', record('end'), /a terminé définitivement l’étude copd\.$/],
  ['checkpoint', { kind: 'checkpoint', text: 'The ledger of coordinator france is at entry 12.', detail: { sequence: 12 } }, /en est à l’inscription 12/],
  ['creation', { kind: 'open', text: 'The ledger of node lyon was created.' }, /a été créé/],
  ['opening', { kind: 'open', text: 'The ledger of node lyon was opened again.' }, /a été rouvert/],
  ['abandonment', { kind: 'abandon', text: 'The reservation of entry 7 was open when the ledger stopped, and nothing had run; it costs nothing.' }, /La réservation de l’inscription 7 a été rendue/],
  ['recovery', { kind: 'recover', text: 'claire acknowledged that entries up to 9 of 2027-01-01T00:00:00Z were lost; what they had charged counts in every study. Reason: the disk\nfailed', detail: { sequence: 9 } }, /^claire a reconnu la perte[^]* Motif : the disk\nfailed$/],
];

test('every kind of entry is said in French, with its conditions and groups', async () => {
  const { load, messages } = await page('custodian');
  const language = await load('language.js');
  language.load(messages);
  language.choose('fr');
  const { plain } = await load('plain.js');
  for (const [name, entry, want] of entries) assert.match(plain(entry) || `nothing, but for: ${entry.text}`, want, name);
  const kinds = new Set(fs.readFileSync(path.join(root, 'internal/ledger/entry.go'), 'utf8').match(/^\s+Kind\w+ +(?:Kind )?= "\w+"/gm).map((x) => x.match(/"(\w+)"/)[1]));
  assert.ok(kinds.size >= 12, [...kinds].join(' '));
  for (const kind of kinds) {
    assert.ok(entries.some(([, e]) => e.kind === kind), `no entry of kind ${kind} is looked at`);
    assert.ok(messages[`kind.${kind}`], `kind ${kind} has no name`);
  }
  language.choose('en');
  assert.match(plain(entries[0][1]), /^ada asked, under the study copd, for the number of patients; sums of weight, from person, where person\.sex = 'F', for each person\.year\. Noise: Gaussian/);
});

test('every way in which a document is wider, and why a decision is not taken, is said in French', async () => {
  const { load, messages } = await page('custodian');
  const language = await load('language.js');
  language.load(messages);
  language.choose('fr');
  const { refusal } = await load('plain.js');
  const source = fs.readFileSync(path.join(root, 'internal/study/document.go'), 'utf8');
  const wider = [...source.matchAll(/return wider\("(.+)"( \+ table)?\)/g)].map((x) => x[1] + (x[2] ? 'person' : ''));
  assert.ok(wider.length > 10);
  for (const what of wider) assert.match(refusal(`the record is refused: compared with what holds here, it allows more than the proposal: ${what}`) || what, /^Cela autorise plus que le document : /);
  for (const message of ['the signature is not that of claire', 'no key of "eve" is configured here to approve studies', '"eve" is no custodian here', 'it is act 7 on study copd, and the next one is 3: it was used before, or another came first',
    'it approves another version of study copd than the one proposed last', 'it resumes other terms of study copd than held here last', 'the study copd is approved here, and only what was approved and is suspended can be resumed',
    'nothing of study copd waits for a signature to resume it', 'the study copd has ended; propose another one']) assert.match(refusal(`the record is refused: ${message}`) || message, /signature n’est|Aucune clé de eve|acte 7|autre version|changé d’état/);
  assert.equal(refusal('something else'), null);
});

test('every code of a refusal has its words', async () => {
  const { messages } = await page('custodian');
  const codes = [...fs.readFileSync(path.join(root, 'node/code.go'), 'utf8').matchAll(/Code = "(NODE_\w+)"/g)].map((x) => x[1]);
  assert.ok(codes.length > 20);
  for (const code of codes) assert.ok(messages[`code.${code}`], code);
});

/** body returns the text of a Go function in a file. */
function body(file, name) {
  const source = fs.readFileSync(path.join(root, file), 'utf8');
  const from = source.search(new RegExp(`^func (\\([^)]*\\) )?${name}\\(`, 'm'));
  assert.ok(from >= 0, `${file} has no ${name}`);
  const rest = source.slice(from);
  return rest.slice(0, rest.search(/^}$/m));
}

// The functions that write sentences about answers.
const writes = [
  ['planner/release.go', 'biasWarnings'], ['planner/clamp/clamp.go', 'Warn'], ['planner/bias/words.go', 'LeftOut'], ['planner/bias/words.go', 'Outside'], ['planner/bias/words.go', 'Unmeasured'], ['planner/bias/wide.go', 'String'], ['planner/clamps.go', 'unmeasured'],
  ['planner/expected.go', 'known'], ['planner/expected.go', 'expected'], ['planner/bias/percentiles.go', 'Percentiles'], ['planner/expected.go', 'size'], ['planner/expected.go', 'passed'], ['planner/expected.go', 'trial'], ['planner/lifetable.go', 'expected'],
  ['planner/bias/words.go', 'TooFew'], ['planner/bias/words.go', 'Shown'], ['planner/bias/words.go', 'Unseen'], ['planner/reconcile.go', 'fit'], ['planner/ahead.go', 'told'], ['planner/describe.go', 'Warnings'], ['coordinator/query.go', 'finish'], ['coordinator/query.go', 'emptiness'], ['coordinator/caveat.go', 'sentences'],
  ['coordinator/lookup.go', 'told'], ['coordinator/due.go', 'sentences'], ['coordinator/first.go', 'takeFirst'],
];
const limit = 'the limit of 5 rows a patient (max_rows)';
const unbiased = 'COUNT(DISTINCT patient), and means of each patient\'s mean or first row, have no such bias, and a larger max_rows has less';
const price = 'epsilon 0.35 (rho 0.06125), 3.5 % of the study\'s budget';
const sentences = [ // each has the form of a literal of the source, which the test looks for
  `no profile of stay is there yet: one is taken before, once for everyone in the study. It costs ${price}, beside the question's own price; limits that are not given, and errors, then follow from it`,
  `a profile of stay was taken before, once for everyone in the study, and charged by itself: ${price}`,
  `the profile of stay failed after it was charged, at most ${price}; it is tried once more at most`,
  'by the profile about 3 % of all rows are beyond the limit of 5 a patient (max_rows), and left out',
  `by the profile about 3 % of all rows are beyond the limit of 5 a patient (max_rows), and left out: counts and sums come out low, and who has more weighs less in averages and shares; ${unbiased}`,
  `by the profile about 3 % of all rows of stay (of those that the query keeps it may be far more or less) are beyond the limit of 5 a patient (max_rows), and left out`,
  'by the profile about 3 % of the rows of this kind are beyond the limit of 5 a patient (max_rows), and left out',
  'hba1c may be from -634 to 365, and noise follows from that: a mean of 900 values is expected to err by ± 490; in CLAMP(hba1c, lowest, highest) of a tenth of that range it errs by a tenth',
  'hba1c may be from -634 to 365, and noise follows from that: a mean of 900 values is expected to err by ± 490; in CLAMP(hba1c, lowest, highest) of a tenth of that range it errs by a tenth; by the profile of 2027-01-01 nearly all values lie in CLAMP(hba1c, 0, 16), of which it errs by ± 7.8',
  'values beyond the catalog\'s bounds count as the nearest, and how many is not measured: person.age 0 to 120, stay.days 0 to 365',
  'what CLAMP moves in a query within this one is not measured', 'what CLAMP moves is not measured, since the study may not count values',
  'a patient may well have 30 rows of stay, and counts as one of 5 in all (max_rows): counts and sums come out low, and the patient weighs less in averages and shares',
  'the groups are not declared, and a patient of more than 40 rows of stay may count in none of them (max_rows): less than 1/8 of one is left',
  'where patients are counted, one of more than 3 groups counts as one of 3 in all (max_groups): such counts come out low',
  `how much is beyond ${limit} and left out is not measured: ask for a count beside it; intervals hold the value without that part`,
  'COUNT(DISTINCT …) sees values that about 12 rows or more have: others are missed, so that it comes out low',
  'MIN, MAX, MODE, BOOL_AND and BOOL_OR of known values see those that about 12 rows or more have',
  'SUM and AVG(DISTINCT …) see values that about 12 rows or more have', 'APPROX_BOUNDS sees powers of two that about 12 rows or more lie between',
  'stay.days may be up to 400, and counts as 60 at most: sums and averages come out low where it is more', 'stay.days may be down to -4, and counts as 0 at least: sums and averages come out high where it is less',
  `a part of the sum of days may be beyond ${limit} and left out, up to 12.5 either way: noise hides how much, a larger epsilon would tell, and intervals hold the value without that part; ${unbiased}`,
  `a part of the rows may be beyond ${limit} and left out: noise hides how much, a larger epsilon would tell, and intervals hold the value without that part; ${unbiased}`,
  `about 35 % ± 3 % of the rows are beyond ${limit} and left out (more, if some have over 4 times the limit): intervals hold the value without that part; ${unbiased}`,
  `0 to 0.4 % of the values of days are beyond ${limit} and left out (more, if some have over 4 times the limit): intervals hold the value without that part`,
  `about 120 ± 8 of the sum is beyond the limit of 1 row a patient (max_rows) and left out (more, if some have over 4 times the limit): intervals hold the value without that part; ${unbiased}`,
  'about 3 % ± 1 % of the count of patients in groups is beyond the limit of 3 groups a patient (max_groups) and left out (more, if some have over 4 times the limit): intervals hold the value without that part; raise max_groups, or group more coarsely',
  'some of the values may be outside of CLAMP (days from 0 to 60) and count as the nearest bound: noise hides how many, and a larger epsilon would tell',
  'some of the values may be outside of the limit that max_rows gives (n from 0 to 20) and count as the nearest bound: noise hides how many, and a larger epsilon would tell',
  'about 3 % ± 1 % of the values are outside of the limit that max_rows gives (n from 0 to 20) and count as the nearest bound: sums and averages are of what it makes of them',
  'about 3 % ± 1 % of the values are outside of CLAMP (days from 0 to 60) and count as the nearest bound: sums and averages are of what it makes of them',
  '0 to 40 of the values are outside of CLAMP (days from 0 to 60) and count as the nearest bound: sums and averages are of what it makes of them',
  'too few in 2 of 8 rows: mean, median are NULL where noise alone may be all there is; group more coarsely, or spend a larger epsilon', 'too few: mean is NULL where noise alone may be all there is; group more coarsely, or spend a larger epsilon',
  'groups and their total differ by more than noise explains, and are shown as released: rows may hold values that the catalog does not declare, which are in the total alone',
  'a group that the catalog does not declare is shown from a noisy number of 40 patients on: one of 60 patients is shown with more than 97 % probability, smaller ones more seldom',
  'a group that the catalog does not declare is shown from a noisy number of 40 patients in one hospital on: one of 60 patients in one hospital is shown with more than 97 % probability, smaller ones more seldom',
  'groups of fewer than about 40 patients are not shown: counts, totals and shares over the groups are without them',
  'groups of fewer than about 40 patients at each hospital are not shown: counts, totals and shares over the groups are without them',
  'patients are compared with the number of release 1, which is noisy: 61.5; intervals do not include that',
  'share divides two whole numbers, and what it gives is cut to a whole number, as in PostgreSQL: write 1.0 * before the first for the quotient itself',
  '1 of 4 hospitals are not part of this answer', 'no row: a group that the catalog does not declare is shown from a noisy number of 40 patients on; group more coarsely, or spend a larger epsilon',
  'no row: a group that the catalog does not declare is shown from a noisy number of 40 patients in one hospital on; group more coarsely, or spend a larger epsilon',
  'at 1 of 4 hospitals (lyon) the column stay.days is absent, and is NULL in every row there', 'at 1 of 4 hospitals (lyon) up to 2 % of the lines of stay may be missing, since they do not fit the rest of their files',
  'at 1 of 4 hospitals (lyon) up to 2 % of a column\'s values in stay may be unreadable, beyond their bounds or NULL', 'concept: other rows at lyon than at most hospitals, whose rows these are',
  'stay, from the profile of 2027-01-01: of about 900 patients, half have up to 2 rows, nine in ten up to 8, 99 in 100 up to 16: with max_rows 16 nearly all count whole, with 2 means and shares have less noise; a query that gives none has what the profile advises for it',
  'stay, from the profile of 2027-01-01: of about 900 patients, half have up to 1 rows, nine in ten up to 1, 99 in 100 up to 1; weight lies within [0, 256]', 'stay, from the profile of 2027-01-01: too few patients to tell more',
  'stay, from the profile of 2027-01-01: weight lies within [0, 256]',
  'depends on the answer', 'days, where it is 20, with about 30 values', 'where it is 20, if the values lie evenly between their bounds, with about 30 values in each group',
  'seconds, if the values lie evenly between their bounds, with 1000 values in each group; with a tenth of them ten times as wide', 'where it is 0.5, with 1000 values; with a tenth of them ten times as wide',
  'between percentiles 48.3 and 51.7 of the values, with about 30 values, if the query keeps all rows; with a tenth of them ten times as wide',
  'between the lower bound and percentile 2.1 of the values, with about 30 values in each group, if the query keeps all rows; with a tenth of them ten times as wide',
  'between percentile 97.9 of the values and the upper bound, with about 30 values', 'noise may be all there is, and the number NULL, with about 30 values in each group',
  'values that fewer than about 32 rows have are not seen', 'powers of two that fewer than about 681 rows lie between are not seen',
  'where it is 25, with about 1000 values in each of 4 groups', 'with 1000 at risk, if few leave; with a tenth of them ten times as wide',
  'computed from released numbers: its interval comes with the answer, and may be open', 'no interval: the order of noisy numbers decides it',
];

test('every sentence that stands beside an answer or its price is said in French', async () => {
  const { load, messages } = await page('researcher');
  const language = await load('language.js');
  language.load(messages);
  language.choose('fr');
  const { inWords } = await load('parts.js');
  const english = /\b(?:the|of|and|are|beyond|values|rows|about|hidden|left|which)\b/;
  for (const s of sentences) {
    const said = inWords(s);
    assert.ok(said, `nothing in French for: ${s}`);
    assert.doesNotMatch(said.replaceAll('lies within', ''), english, s);
  }
  // The list is complete: each literal of the source that is a sentence, or a part of one, occurs in the list.
  const shape = (text) => new RegExp(text.replace(/%%/g, '\u0001').split(/%[-+.\d]*[a-z]/).map((x) => x.replace(/\u0001/g, '%').replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.+'));
  for (const [file, name] of writes) {
    const found = [...body(file, name).matchAll(/"((?:[^"\\]|\\.)*)"/g)].map((x) => x[1]).filter((x) => x.length > 20 && x.includes(' '));
    assert.ok(found.length > 0, `${name} of ${file} says nothing`);
    for (const text of found) assert.ok(sentences.some((s) => shape(text).test(s)), `${file}: no sentence of the list is made of: ${text}`);
  }
  language.choose('en');
  for (const s of sentences) assert.ok(inWords(s), s);
});

test('sentences beside answers are written where they are looked for', () => {
  const known = new Set(writes.map(([file]) => file));
  const others = new Set(['planner/finish.go', 'planner/answer.go', 'coordinator/explain.go', 'coordinator/outline.go']); // these only pass sentences on
  for (const folder of ['planner', 'coordinator']) {
    for (const f of fs.readdirSync(path.join(root, folder)).filter((f) => f.endsWith('.go') && !f.endsWith('_test.go'))) {
      const file = `${folder}/${f}`;
      if (/\.(?:Warnings|Bias|Notes|notes)\b.* = append\(/.test(fs.readFileSync(path.join(root, file), 'utf8'))) assert.ok(known.has(file) || others.has(file), `${file} writes sentences, and is not looked at`);
    }
  }
});
