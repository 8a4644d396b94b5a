// What the consoles say, without a browser: each text is there in both languages, nothing is said that is not in the
// table, and every entry of a hospital's ledger is said in French.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';

const root = path.resolve(import.meta.dirname, '../..');
const pages = { custodian: 'node/console/assets', researcher: 'coordinator/console/assets' };
const folders = [];

/** page puts a page's modules where they find each other. */
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

// Words that are the same in both.
const same = /^(?:Laplace|version \{n\}|\{.*\}|[^\p{L}]*|Chart|CSV|Parquet|SVG|PNG|Table|Distribution|Questions?|Exact|Budget|Version|Minimum|Maximum|Plan|Source|Intramuros|Pages|Catalogue|Type|patients|\{n\} s|1 table|\{n\} tables)$/u;

for (const name of Object.keys(pages)) {
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
