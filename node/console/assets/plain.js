// Translates the ledger. An entry's own sentence is English and part of the hash. The translation is made from the
// entry's details. If it has none, it is made from the sentence, which has one of a few forms.

import { day, language, number, t } from './language.js';

function columns(e) {
  const found = new Set();
  (function walk(x) {
    if (x && typeof x === 'object') {
      if (x.op === 'column' && x.column) found.add(x.column);
      Object.values(x).forEach(walk);
    }
  }(e));
  return found.size ? [...found].join(', ') : t('plain.computed');
}

function tablesOf(relations) {
  return [...new Set((relations || []).flatMap((r) => (r.table ? [r.table] : tablesOf(r.derived && (r.derived.relations || (r.derived.arms || []).map((derived) => ({ derived })))))))];
}

function asked(e) {
  const f = e.detail.request.fragment;
  const noise = e.detail.request.noise;
  const what = [...new Set((f.partials || []).map((p) => (p.kind === 'patients' && p.expr ? t('plain.patientsWith', { x: t('plain.condition', { x: columns(p.expr) }) }) : t(`plain.${p.kind}`, { x: columns(p.expr) }))))];
  const { where, by } = e.asked || { where: [], by: (f.keys || []).map((k) => columns(k.expr)) };
  return t('plain.asked', {
    who: e.researcher, study: e.study, what: what.join(t('plain.semicolon')), tables: tablesOf(f.relations).join(', '),
    where: where.length ? t('plain.where', { conditions: where.join(t('plain.semicolon')) }) : '', by: by.length ? t('plain.by', { keys: by.join(', ') }) : '',
    noise: t(`noise.${noise.mechanism}`), epsilon: number(noise.epsilon), own: e.detail.request.cover ? t('plain.own') : '',
  });
}

const least = (d) => d.min_epsilon || Math.min(0.01, d.max_epsilon);

function terms(d) {
  return t('plain.terms', {
    epsilon: number(d.budget.epsilon), delta: number(d.budget.delta), accounting: d.budget.accounting, max: number(d.max_epsilon), least: number(least(d)),
    until: day(d.expires), people: d.investigators.map((x) => (x === '*' ? t('term.anybody') : x)).join(', '), sealed: d.sealed ? t('plain.sealed') : '',
  });
}

/** acted says what somebody did with a study. r is a signed record, or the node's summary of one, without document. */
export function acted(r) {
  const reason = r.reason ? t('plain.reason', { reason: r.reason.replace(/\.$/u, '') }) : '';
  const d = r.document;
  const of = { who: r.by, study: r.study, place: r.hospital || '', reason, n: d ? d.version : '', title: d ? d.title : '', basis: d ? d.legal_basis : '' };
  return t(`plain.${r.act}`, { ...of, terms: d ? terms(d) : '' });
}

function studied(e) {
  const waits = /It opens nothing before (\d+) more of the custodians/.exec(e.text);
  return acted(e.detail) + (waits ? ` ${t('plain.pending', { n: waits[1] })}` : '');
}

function left(e) {
  const d = e.detail;
  const of = { n: number(d.rows), bytes: number(d.bytes), named: number(d.named || 0), others: number((d.members || 1) - 1) };
  const words = d.members ? 'plain.masked' : d.covered ? 'plain.covered' : d.rows === 1 ? 'plain.leftOne' : 'plain.left';
  return (d.whole === false ? `${t('plain.broke')} ` : '') + (d.named ? `${t('plain.named', of)} ` : '') + t(words, of);
}

function policy(d) {
  const list = (all) => (all && all.length ? all.join(', ') : t('plain.noone'));
  return t('plain.policy', {
    epsilon: number(d.budget.epsilon), operators: list(d.operators), custodians: list(d.custodians),
    required: d.signatures_required ? ` ${t('plain.required', { n: number(d.signatures_required) })}` : '', sealed: d.sealed && d.sealed.required ? ` ${t('plain.sealedAll')}` : '',
    former: d.former && d.former.length ? ` ${t('plain.former', { who: list(d.former) })}` : '',
    key: d.sealed ? ` ${t('plain.key', { key: d.sealed.key })}` : '',
    peers: d.sealed && d.sealed.peers ? ` ${t('plain.peers', { who: list(Object.entries(d.sealed.peers).map(([name, key]) => `${name} (${key})`)) })}` : '',
  });
}

function configured(d) {
  if (typeof d.suspended !== 'boolean') return policy(d);
  if (d.release) return t('plain.releaseSigned', { who: d.by, reason: d.reason || '' });
  return t(d.suspended ? 'plain.stopped' : 'plain.released', { who: d.by || t('plain.custodian'), reason: d.reason || '' });
}

// The sentences of entries without details.
const SENTENCES = [
  [/^(?:(?<n>\d+) refusals before this one are not recorded: there were too many\. )?Refused to (?<what>\w+) for (?<peer>\S+): this hospital .*?\((?<code>NODE_\w+)\)\./su, (g) => (g.n ? `${t('plain.unrecorded', { n: number(g.n) })} ` : '') + t('plain.refused', { code: g.code, why: t(`code.${g.code}`) })],
  [/^The ledger of (?<who>.+) is at entry (?<n>\d+)\.$/u, (g) => t('plain.checkpoint', g)],
  [/^The ledger of (?<who>.+) was created\.$/u, (g) => t('plain.created', g)],
  [/^The ledger of (?<who>.+) was opened again\.$/u, (g) => t('plain.openedAgain', g)],
  [/^The reservation of entry (?<n>\d+) .*; it costs nothing\.$/u, (g) => t('plain.abandoned', g)],
  [/^(?<who>.+) acknowledged that entries up to (?<n>\d+) of (?<time>\S+) were lost; what they had charged counts in every study\. Reason: (?<reason>[^]*)$/u, (g) => t('plain.recovered', g)],
];

function told(text) {
  for (const [pattern, words] of SENTENCES) {
    const found = pattern.exec(text);
    if (found) return words(found.groups);
  }
  return null;
}

function detailed(e) {
  const d = e.detail;
  switch (d && e.kind) {
    case 'reserve': return d.request ? asked(e) : null;
    case 'failure': return d.code ? `${t(d.count ? 'plain.failed' : 'plain.failedBefore', { code: d.code, rows: number(d.rows), n: number(d.count), allowed: number(d.allowed), study: e.study })}${d.suspends ? ` ${t('plain.failedLast')}` : ''}` : null;
    case 'config': return configured(d);
    case 'answer': return d.rows === undefined ? null : left(e);
    case 'data': return t('plain.data', { version: d.data_version });
    case 'study': return d.act ? studied(e) : null;
    default: return null;
  }
}

/** plain translates an entry. It returns null if the entry's own sentence shall be shown. */
export function plain(e) {
  if (e.kind === 'charge') return t('plain.charge', { epsilon: number(e.epsilon) });
  return detailed(e) || (language() === 'en' ? null : told(e.text));
}

// The node's English reasons for refusing a decision.
const WIDER = {
  'it is another study; only limits can be narrowed': 'study', 'the accounting differs': 'accounting', 'the budget': 'budget', max_epsilon: 'max', 'it expires later': 'until',
  'min_epsilon: the least price can be raised and not lowered': 'least', 'the investigators': 'people', 'the hospitals': 'hospitals', 'the aggregates': 'kinds',
  'it is not sealed, and the proposal is; `sealed` can be added and not taken away': 'sealed',
  'the hospitals of a sealed study are those of the proposal: how much noise each adds follows from how many there are': 'sealedHospitals',
};
const REFUSALS = [
  [/it allows more than the proposal: the columns of table (?<table>.+)$/u, (g) => t('refusal.columns', g)],
  [/it allows more than the proposal: (?<what>.+)$/u, (g) => (WIDER[g.what] ? t('refusal.wider', { what: t(`wider.${WIDER[g.what]}`) }) : null)],
  [/the signature is not that of (?<who>.+)$/u, (g) => t('refusal.signature', g)],
  [/no key of "(?<who>.+)" is configured here to \w+ studies$|"(?<name>.+)" is no custodian here$/u, (g) => t('refusal.key', { who: g.who || g.name })],
  [/it is act (?<n>\d+) on study (?<study>\S+), and the next one is (?<next>\d+): it was used before, or another came first$/u, (g) => t('refusal.number', g)],
  [/it approves another version of study (?<study>\S+) than the one proposed last$/u, (g) => t('refusal.version', g)],
  [/(?<who>\S+) has left, and signs nothing more here \(`former`\)$/u, (g) => t('refusal.left', g)],
  [/the stop that it ends has ended; another may have come$|the hospital is not stopped$/u, () => t('refusal.since')],
  [/(?<n>\d+) custodians must sign that this hospital answers again$/u, (g) => t('hold.rule', g)],
  [/only what was approved and is suspended can be resumed$|it resumes other terms of study \S+ than held here last$|nothing of study \S+ waits for a signature|nothing of the study \S+ holds here|the study \S+ has ended/u, () => t('refusal.since')],
];

/** refusal translates why the node refuses a decision. It returns null if the node's own words shall be shown. */
export function refusal(message) {
  if (language() === 'en') return null;
  for (const [pattern, words] of REFUSALS) {
    const found = pattern.exec(message);
    if (found) return words(found.groups || {});
  }
  return null;
}
