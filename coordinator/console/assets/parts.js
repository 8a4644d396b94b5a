// Parts that several pages show.

import { h, icon, s } from './dom.js';
import { has, t } from './language.js';

/** problem shows an error of the API. What it says beyond its code is the server's, in English. */
export function problem(error) {
  const title = has(`code.${error.code}`) ? t(`code.${error.code}`) : error.code || error.name;
  return h('div', { class: 'notice bad', role: 'alert' }, icon('warn'), h('div', {},
    h('strong', {}, title), error.line > 0 ? h('span', { class: 'muted' }, ` · ${t('error.position', error)}`) : '',
    h('div', { lang: 'en' }, error.message), error.hint ? h('div', { class: 'muted', lang: 'en' }, error.hint) : '',
    error.hospitals && error.hospitals.length ? h('ul', { lang: 'en' }, error.hospitals.map((x) => h('li', {}, `${x.name} ${x.why}`))) : '',
    error.charged ? h('div', {}, h('strong', {}, t('error.charged'))) : ''));
}

/** share is what part of a budget something costs, and what is left, both of 1. */
export function share(cost, remaining) {
  const pure = cost.accounting === 'pure';
  const left = pure ? remaining.epsilon : remaining.rho;
  const total = remaining.fraction < 1 ? left / (1 - remaining.fraction) : Infinity;
  const part = (pure ? cost.epsilon : cost.rho) / total;
  return { part, left: 1 - remaining.fraction, enough: part <= 1 - remaining.fraction + 1e-12 && cost.delta <= remaining.delta + 1e-15 || pure && part <= 1 - remaining.fraction };
}

/** meter is a bar of a budget: what would be left, then what this takes; the rest is spent. */
export function meter(spent, now, words) {
  const w = 1000;
  return s('svg', { class: 'meter', viewBox: `0 0 ${w} 12`, preserveAspectRatio: 'none', role: 'img', 'aria-label': words },
    s('rect', { class: 'left', width: w * Math.max(0, 1 - spent - now), height: 12 }), s('rect', { class: 'now', x: w * Math.max(0, 1 - spent - now), width: Math.max(now > 0 ? 3 : 0, w * Math.min(now, 1 - spent)), height: 12 }));
}

// What the server says in English of numbers and answers, and the message that says so in both languages.
const SAID = [
  [/^depends on the answer$/, 'cost.depends'],
  [/^computed from released numbers: its interval comes with the answer, and may be open$/, 'cost.computed'],
  [/^no interval: the order of noisy numbers decides it$/, 'cost.noInterval'],
  [/^about (?<n>\S+) divided by the number of values$/, 'cost.divided'],
  [/^about (?<n>\S+) divided by the number at risk, if few leave$/, 'cost.atRisk'],
  [/^a group that the catalog does not declare is shown from a noisy number of (?<n>\d+) patients on: one of (?<sure>\d+) patients /, 'cost.threshold'],
  [/^a group that the catalog does not declare is shown from a noisy number of (?<n>\d+) patients in one hospital on: one of (?<sure>\d+) patients /, 'cost.thresholdLocal'],
  [/^a patient may well have (?<typical>\d+) rows of (?<table>\S+), and counts as one of (?<n>\d+) in all \(max_rows\)/, 'cost.rows'],
  [/^the groups are not declared, and a patient of more than (?<n>\d+) rows of (?<table>\S+) may count in none of them \(max_rows\)/, 'cost.vanish'],
  [/^where patients are counted, one of more than (?<n>\d+) groups counts as one of \d+ in all \(max_groups\)/, 'cost.groups'],
  [/^too few in (?<n>\d+) of (?<all>\d+) rows: (?<names>.+) (?:is|are) NULL where noise alone /, 'answer.tooFewIn'],
  [/^too few: (?<names>.+) (?:is|are) NULL where noise alone /, 'answer.tooFew'],
  [/^groups and their total differ by more than noise explains/, 'answer.differ'],
  [/^with about (?<n>\S+) values in each group$/, 'cost.supposed'],
  [/^no row: .* from a noisy number of (?<n>\d+) patients on;/, 'answer.none'],
  [/^no row: .* from a noisy number of (?<n>\d+) patients in one hospital on;/, 'answer.noneLocal'],
  [/^(?<n>\d+) of (?<all>\d+) hospitals are not part of this answer$/, 'answer.partly'],
  [/^at (?<n>\d+) of (?<all>\d+) hospitals \((?<names>.+)\) the column (?<column>\S+) is absent, and is NULL in every row there$/, 'answer.absent'],
  [/^at (?<n>\d+) of (?<all>\d+) hospitals \((?<names>.+)\) up to (?<share>\S+) % of the lines of (?<table>\S+) may be missing, since they do not fit the rest of their files$/, 'answer.rejected'],
  [/^at (?<n>\d+) of (?<all>\d+) hospitals \((?<names>.+)\) up to (?<share>\S+) % of a column's values in (?<table>\S+) may be unreadable, beyond their bounds or NULL$/, 'answer.unusable'],
];

/** told is such a text in the reader's language; one that is not known is marked as English. */
export function told(text) {
  for (const [pattern, key] of SAID) {
    const found = pattern.exec(text);
    if (found) return h('span', {}, t(key, found.groups));
  }
  return h('span', { lang: 'en' }, text);
}
