// The parts that several pages share.

import { h, icon, s } from './dom.js';
import { has, t } from './language.js';

/** problem shows an error of the API. The code has a translation. Message and hint are the server's, in English. */
export function problem(error) {
  const title = has(`code.${error.code}`) ? t(`code.${error.code}`) : error.code || error.name;
  return h('div', { class: 'notice bad', role: 'alert' }, icon('warn'), h('div', {},
    h('strong', {}, title), error.line > 0 ? h('span', { class: 'muted' }, ` · ${t('error.position', error)}`) : '',
    h('div', { lang: 'en' }, error.message), error.hint ? h('div', { class: 'muted', lang: 'en' }, error.hint) : '',
    error.hospitals && error.hospitals.length ? h('ul', { lang: 'en' }, error.hospitals.map((x) => h('li', {}, `${x.name} ${x.why}`))) : '',
    error.charged ? h('div', {}, h('strong', {}, t('error.charged'))) : ''));
}

/** share returns the share of a budget that something costs, and the share that is left, both in [0, 1]. */
export function share(cost, remaining) {
  const pure = cost.accounting === 'pure';
  const left = pure ? remaining.epsilon : remaining.rho;
  const total = remaining.spent < 1 ? left / (1 - remaining.spent) : Infinity;
  const part = (pure ? cost.epsilon : cost.rho) / total;
  return { part, left: 1 - remaining.spent, enough: part <= 1 - remaining.spent + 1e-12 && cost.delta <= remaining.delta + 1e-15 || pure && part <= 1 - remaining.spent };
}

/** meter draws a budget as a bar: first what would be left, then this cost, then what is spent. */
export function meter(spent, now, words) {
  const w = 1000;
  return s('svg', { class: 'meter', viewBox: `0 0 ${w} 12`, preserveAspectRatio: 'none', role: 'img', 'aria-label': words },
    s('rect', { class: 'left', width: w * Math.max(0, 1 - spent - now), height: 12 }), s('rect', { class: 'now', x: w * Math.max(0, 1 - spent - now), width: Math.max(now > 0 ? 3 : 0, w * Math.min(now, 1 - spent)), height: 12 }));
}

// The server's English sentences about numbers and answers, each with the message that translates it.
const SAID = [
  [/^depends on the answer$/, 'cost.depends'],
  [/^computed from released numbers: its interval comes with the answer, and may be open$/, 'cost.computed'],
  [/^no interval: the order of noisy numbers decides it$/, 'cost.noInterval'],
  [/^where it is (?<value>\S+), (?<size>(?:with|if the values) .+)$/, 'cost.where'],
  [/^between percentiles (?<from>\S+) and (?<to>\S+) of the values, (?<size>with .+)$/, 'cost.percentiles'],
  [/^between the lower bound and percentile (?<to>\S+) of the values, (?<size>with .+)$/, 'cost.percentilesLow'],
  [/^between percentile (?<from>\S+) of the values and the upper bound, (?<size>with .+)$/, 'cost.percentilesHigh'],
  [/^with (?<n>\d+) at risk, if few leave; with a tenth of them ten times as wide$/, 'cost.atRisk'],
  [/^if the values lie evenly between their bounds, (?<size>with .+)$/, 'cost.evenly'],
  [/^noise may be all there is, and the number NULL, (?<size>with .+)$/, 'cost.allNoise'],
  [/^values that fewer than about (?<n>\S+) rows have are not seen$/, 'cost.unseen'],
  [/^powers of two that fewer than about (?<n>\S+) rows lie between are not seen$/, 'cost.unseenPowers'],
  [/^a group that the catalog does not declare is shown from a noisy number of (?<n>\d+) patients on: one of (?<sure>\d+) patients /, 'cost.threshold'],
  [/^a group that the catalog does not declare is shown from a noisy number of (?<n>\d+) patients in one hospital on: one of (?<sure>\d+) patients /, 'cost.thresholdLocal'],
  [/^a patient may well have (?<typical>\d+) rows of (?<table>\S+), and counts as one of (?<n>\d+) in all \(max_rows\)/, 'cost.rows'],
  [/^the groups are not declared, and a patient of more than (?<n>\d+) rows of (?<table>\S+) may count in none of them \(max_rows\)/, 'cost.vanish'],
  [/^where patients are counted, one of more than (?<n>\d+) groups counts as one of \d+ in all \(max_groups\)/, 'cost.groups'],
  [/^groups of fewer than about (?<n>\d+) patients are not shown: counts, /, 'answer.unseen'],
  [/^groups of fewer than about (?<n>\d+) patients at each hospital are not shown: counts, /, 'answer.unseenLocal'],
  [/^patients are compared with the number of release \d+, which is noisy: (?<n>.+); intervals do not include that$/, 'answer.compared'],
  [/^too few in (?<n>\d+) of (?<all>\d+) rows: (?<names>.+) (?:is|are) NULL where noise alone /, 'answer.tooFewIn'],
  [/^too few: (?<names>.+) (?:is|are) NULL where noise alone /, 'answer.tooFew'],
  [/^groups and their total differ by more than noise explains/, 'answer.differ'],
  [/^no row: .* from a noisy number of (?<n>\d+) patients on;/, 'answer.none'],
  [/^no row: .* from a noisy number of (?<n>\d+) patients in one hospital on;/, 'answer.noneLocal'],
  [/^(?<n>\d+) of (?<all>\d+) hospitals are not part of this answer$/, 'answer.partly'],
  [/^at (?<n>\d+) of (?<all>\d+) hospitals \((?<names>.+)\) the column (?<column>\S+) is absent, and is NULL in every row there$/, 'answer.absent'],
  [/^at (?<n>\d+) of (?<all>\d+) hospitals \((?<names>.+)\) up to (?<share>\S+) % of the lines of (?<table>\S+) may be missing, since they do not fit the rest of their files$/, 'answer.rejected'],
  [/^at (?<n>\d+) of (?<all>\d+) hospitals \((?<names>.+)\) up to (?<share>\S+) % of a column's values in (?<table>\S+) may be unreadable, beyond their bounds or NULL$/, 'answer.unusable'],
  [/^(?<tables>.+): other rows at (?<names>.+) than at most hospitals, whose rows these are$/, 'answer.otherRows'],
  [/^(?<x>.+) divides two whole numbers, and what it gives is cut to a whole number/, 'cost.cut'],
  [/^days, (?<note>.+)$/, 'cost.days'],
  [/^seconds, (?<note>.+)$/, 'cost.seconds'],
  [/^COUNT\(DISTINCT …\) sees values that about (?<n>\S+) rows or more have: /, 'cost.distinct'],
  [/^MIN, MAX, MODE, BOOL_AND and BOOL_OR of known values see those that about (?<n>\S+) rows or more have$/, 'cost.known'],
  [/^SUM and AVG\(DISTINCT …\) see values that about (?<n>\S+) rows or more have$/, 'cost.sumDistinct'],
  [/^APPROX_BOUNDS sees powers of two that about (?<n>\S+) rows or more lie between$/, 'cost.powers'],
  [/^(?<x>.+) may be up to (?<n>\S+), and counts as (?<most>\S+) at most: /, 'cost.clampHigh'],
  [/^(?<x>.+) may be down to (?<n>\S+), and counts as (?<least>\S+) at least: /, 'cost.clampLow'],
  [/^by the profile about (?<n>\S+) % of (?<rows>.+) are beyond the limit of (?<limit>\d+) a patient \(max_rows\), and left out: counts and sums come out low, and who has more weighs less in averages and shares$/, 'cost.profileLow'],
  [/^by the profile about (?<n>\S+) % of (?<rows>.+) are beyond the limit of (?<limit>\d+) a patient \(max_rows\), and left out$/, 'cost.profile'],
  [/^(?<x>\S+) may be from (?<low>\S+) to (?<high>\S+), and noise follows from that: a mean of (?<n>\S+) values is expected to err by ± (?<half>\S+); in CLAMP\(.+, lowest, highest\) of a tenth of that range it errs by a tenth$/, 'cost.wide'],
  [/^(?<x>\S+) may be from (?<low>\S+) to (?<high>\S+), and noise follows from that: a mean of (?<n>\S+) values is expected to err by ± (?<half>\S+); in CLAMP\(.+, lowest, highest\) of a tenth of that range it errs by a tenth; by the profile of (?<taken>\S+) nearly all values lie in CLAMP\(\S+, (?<from>\S+), (?<to>\S+)\), of which it errs by ± (?<then>\S+)$/, 'cost.wideProfile'],
  [/^values beyond the catalog's bounds count as the nearest, and how many is not measured: (?<columns>.+)$/, 'cost.bounds'],
  [/^what CLAMP moves in a query within this one is not measured$/, 'cost.clampWithin'],
  [/^what CLAMP moves is not measured, since the study may not count values$/, 'cost.clampUncounted'],
  [/^(?<table>\S+), from the profile of (?<taken>[\d-]+): of about (?<all>\d+) patients, half have up to (?<half>\d+) rows, nine in ten up to (?<nine>\d+), 99 in 100 up to (?<most>\d+)(?:: with [^[]*?)?(?:; (?<bounds>\S+ lies within \[.*))?$/, 'cost.profileRows'],
  [/^(?<table>\S+), from the profile of (?<taken>[\d-]+): too few patients to tell more$/, 'cost.profileFew'],
  [/^(?<table>\S+), from the profile of (?<taken>[\d-]+): (?<bounds>\S+ lies within \[.*)$/, 'cost.profileBounds'],
  [/^no profile of (?<table>\S+) is there yet: one is taken before, once for everyone in the study\. It costs epsilon (?<epsilon>\S+?)(?: \(rho \S+\))?, (?<share>\S+) % of the study's budget, beside the question's own price; limits that are not given, and errors, then follow from it$/, 'cost.firstProfile'],
  [/^a profile of (?<table>\S+) was taken before, once for everyone in the study, and charged by itself: epsilon (?<epsilon>\S+?)(?: \(rho \S+\))?, (?<share>\S+) % of the study's budget$/, 'answer.firstProfile'],
  [/^the profile of (?<table>\S+) failed after it was charged, at most epsilon (?<epsilon>\S+?)(?: \(rho \S+\))?, (?<share>\S+) % of the study's budget; it is tried once more at most$/, 'answer.firstFailed'],
  [/^how much is beyond (?<limit>.+) and left out is not measured: ask for a count beside it; intervals hold the value without that part$/, 'bias.unmeasured'],
  [/^a part of (?<what>.+) may be beyond (?<limit>.+) and left out, up to (?<n>.+) either way: noise hides how much, a larger epsilon would tell, and intervals hold the value without that part$/, 'bias.hiddenAmount'],
  [/^a part of (?<what>.+) may be beyond (?<limit>.+) and left out: noise hides how much, a larger epsilon would tell, and intervals hold the value without that part$/, 'bias.hidden'],
  [/^(?<much>.+?) of (?<what>.+) beyond (?<limit>.+) and left out \(more, if some have over (?<times>\d+) times the limit\): intervals hold the value without that part$/, 'bias.much'],
  [/^some of the values may be outside of CLAMP \((?<clamp>.+)\) and count as the nearest bound: noise hides how many, and a larger epsilon would tell$/, 'bias.clampHidden'],
  [/^some of the values may be outside of the limit that max_rows gives \((?<clamp>.+)\) and count as the nearest bound: noise hides how many, and a larger epsilon would tell$/, 'bias.givenHidden'],
  [/^(?<much>.+) of the values are outside of CLAMP \((?<clamp>.+)\) and count as the nearest bound: /, 'bias.clamp'],
  [/^(?<much>.+) of the values are outside of the limit that max_rows gives \((?<clamp>.+)\) and count as the nearest bound: /, 'bias.given'],
];

// Parts of these sentences.
const PARTS = [
  [/^about (?<n>.+ ± .+)$/, 'part.about'],
  [/^0 to (?<n>.+)$/, 'part.upTo'],
  [/^all rows$/, 'part.allRows'],
  [/^all rows of (?<table>\S+) \(of those that the query keeps it may be far more or less\)$/, 'part.allRowsOf'],
  [/^the rows of this kind$/, 'part.rowsOfKind'],
  [/^the rows(?: are)?$/, 'part.rows'],
  [/^the values(?: are)?$/, 'part.values'],
  [/^the values of (?<x>.+?)(?: are)?$/, 'part.valuesOf'],
  [/^the sum(?: is)?$/, 'part.sum'],
  [/^the sum of (?<x>.+?)(?: is)?$/, 'part.sumOf'],
  [/^the count of patients in groups(?: is)?$/, 'part.groups'],
  [/^with about (?<n>\S+) values$/, 'part.size'],
  [/^with about (?<n>\S+) values in each group$/, 'part.sizeEach'],
  [/^with about (?<n>\S+) values in each of (?<groups>\d+) groups$/, 'part.sizeOf'],
  [/^with about (?<n>\S+) values, if the query keeps all rows; with a tenth of them ten times as wide$/, 'part.sizeMost'],
  [/^with about (?<n>\S+) values in each group, if the query keeps all rows; with a tenth of them ten times as wide$/, 'part.sizeMostEach'],
  [/^with (?<n>\S+) values; with a tenth of them ten times as wide$/, 'part.sizeRound'],
  [/^with (?<n>\S+) values in each group; with a tenth of them ten times as wide$/, 'part.sizeRoundEach'],
  [/^the limit of (?<n>\d+) rows? a patient \(max_rows\)$/, 'part.limitRows'],
  [/^the limit of (?<n>\d+) groups? a patient \(max_groups\)$/, 'part.limitGroups'],
];

// Ends of sentences that say what to ask for instead.
const WAYS = [
  [/^(?<text>.+); raise max_groups, or group more coarsely$/, 'bias.fewerGroups'],
  [/^(?<text>.+); COUNT\(DISTINCT patient\), and means of each patient's mean or first row, have no such bias, and a larger max_rows has less$/, 'bias.perPatient'],
];

function among(all, text, part) {
  for (const [pattern, key] of all) {
    const found = pattern.exec(text);
    if (found) return t(key, Object.fromEntries(Object.entries(found.groups || {}).map(([name, of]) => [name, of === undefined ? '' : part(of)])));
  }
  return null;
}

/** inWords translates such a sentence. It returns null for an unknown one. */
export function inWords(text) {
  const part = (of) => among(PARTS, of, (x) => x) || among(SAID, of, part) || of;
  return among(WAYS, text, (of) => inWords(of) || of) || among(SAID, text, part);
}

/** told shows such a sentence. It marks an unknown one as English. */
export function told(text) {
  const said = inWords(text);
  return said === null ? h('span', { lang: 'en' }, text) : h('span', {}, said);
}
