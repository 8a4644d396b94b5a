// Tests the two consoles in a real browser over a real federation. No unit test could check this:
// the pages run under their own Content-Security-Policy; they can be used with a keyboard, on 400
// pixels, in both languages and in the dark scheme; axe finds no fault under WCAG 2.2 AA.
// Screenshots go to the folder that SHOTS names.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Federation, hospitals, until } from './federation.mjs';

const require = createRequire(`${path.resolve(process.env.MODULES || '../../.cache/console')}/`);
const { chromium } = require('playwright-core');
const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const shots = path.resolve(process.env.SHOTS || '../../.cache/console/shots');

let federation;
let browser;
const faults = []; // faults of scripts and of the policy, on all pages

const STUDY = `id: small
version: 1
title: A small study
purpose: To see a budget end.
legal_basis: None is needed, nobody here is real.
investigators: [visitor]
tables: {"*": ["*"]}
aggregates: [count, sum]
budget: {accounting: zcdp, epsilon: 1, delta: 1.0e-6}
max_epsilon: 0.16
default_epsilon: 0.16
default_delta: 1.0e-8
expires: ${new Date(Date.now() + 20 * 86400e3).toISOString().slice(0, 10)}
`;

const PROVIDED = STUDY.replace('id: small', 'id: provided').replace('[visitor]', '["ada@idp"]').replace('A small study', 'A study of a person with a provider');

before(async () => {
  fs.mkdirSync(shots, { recursive: true });
  federation = await Federation.start();
  fs.writeFileSync(federation.file('small.yaml'), STUDY);
  await federation.cli('study', 'propose', federation.file('small.yaml'), '--file', federation.file('coordinator/coordinator.ledger'), '--key', federation.file('pki/olga.key'));
  fs.writeFileSync(federation.file('provided.yaml'), PROVIDED);
  await federation.cli('study', 'propose', federation.file('provided.yaml'), '--file', federation.file('coordinator/coordinator.ledger'), '--key', federation.file('pki/olga.key'));
  for (const name of hospitals) {
    const ledger = federation.file(`${name}/node.ledger`);
    await until(`${name} hears of the study`, async () => (await federation.cli('study', 'list', '--file', ledger)).includes('provided'), 40);
    await federation.cli('study', 'approve', 'provided', '--file', ledger, '--key', federation.file('pki/claire.key'));
  }
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium', headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
}, { timeout: 150_000 });

after(async () => {
  if (browser) await browser.close();
  if (federation) await federation.stop();
}, { timeout: 60_000 });

const shot = async (page, name) => {
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: path.join(shots, `${name}.png`), fullPage: true });
};

async function open(url, { locale = 'en-GB', dark = false, width = 1280 } = {}) {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true, viewport: { width, height: 900 }, colorScheme: dark ? 'dark' : 'light', locale, reducedMotion: 'reduce', acceptDownloads: true,
  });
  await context.addInitScript(() => { if (!localStorage.getItem('intramuros.study')) localStorage.setItem('intramuros.study', 'tour'); });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on('pageerror', (e) => faults.push(e.message));
  page.on('console', (m) => { if (/Content Security Policy|TrustedScript|TrustedHTML/.test(m.text())) faults.push(m.text()); });
  await page.goto(url);
  return page;
}

async function enter(options) {
  const page = await open(federation.url + (options && options.hash || ''), options);
  await page.fill('#token', federation.token);
  await page.keyboard.press('Enter');
  await page.waitForSelector('#sql');
  return page;
}

async function custodian(options) {
  const page = await open(federation.custodian('rennes'), options);
  await page.fill('#token', federation.custodianToken);
  await page.keyboard.press('Enter');
  await page.waitForSelector('.sections');
  return page;
}

async function ask(page, sql) {
  await page.fill('#sql', sql);
  await page.waitForFunction(() => document.querySelector('.price') || document.querySelector('.fault'));
  await page.locator('.actions .main').click();
  await page.waitForSelector('.answer, .result [role=alert]', { timeout: 30_000 });
}

/** audit fails if axe finds a fault under WCAG 2.2 AA. */
async function audit(page, name) {
  await page.evaluate(axe);
  const found = await page.evaluate(async () => (await globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })).violations
    .map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target.join(' ')} (${n.any.concat(n.all).map((x) => x.message).join('; ')})`).join(', ')}`));
  assert.deepEqual(found, [], name);
}

/** auditBoth audits the light and the dark scheme. */
async function auditBoth(page, name) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); })); // all elements have their new colours
    await audit(page, `${name}, ${colorScheme}`);
  }
}

/** targets checks that all that can be clicked is 24 pixels wide and high (WCAG 2.5.8), except links in a text. */
async function targets(page, name) {
  const small = await page.evaluate(() => [...document.querySelectorAll('a[href], button, summary, select, input, textarea, [role=option]')]
    .filter((e) => e.checkVisibility() && !e.closest('.unseen') && !e.classList.contains('skip') && getComputedStyle(e).display !== 'inline')
    .map((e) => [e, e.getBoundingClientRect()]).filter(([, r]) => r.width < 24 || r.height < 24)
    .map(([e, r]) => `${e.localName}.${e.className} ${e.textContent.slice(0, 20)}: ${Math.round(r.width)} x ${Math.round(r.height)}`));
  assert.deepEqual(small, [], `${name}: targets below 24 pixels`);
}

/** walk presses Tab through the page. The focus is visible, follows the page's order, and is never under the header. */
async function walk(page, name) {
  await page.evaluate(() => { // the next Tab starts from the beginning
    scrollTo(0, 0);
    document.body.tabIndex = -1;
    document.body.focus();
    document.body.removeAttribute('tabindex');
  });
  let before = null;
  const seen = new Set();
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press('Tab');
    const now = await page.evaluate(() => {
      const e = document.activeElement;
      if (!e || e === document.body) return null;
      const style = getComputedStyle(e.classList.contains('editor-area') ? e.closest('.editor') : e);
      const r = e.getBoundingClientRect();
      const header = document.querySelector('.top');
      const all = [...document.querySelectorAll('*')];
      return {
        what: `${e.localName}#${e.id}.${e.className} ${e.textContent.slice(0, 20)}`, order: all.indexOf(e),
        ring: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 || style.boxShadow !== 'none',
        covered: Boolean(header) && !header.contains(e) && !e.classList.contains('skip') && r.bottom <= header.getBoundingClientRect().bottom, out: r.bottom <= 0 || r.top >= innerHeight,
      };
    });
    if (!now || seen.has(now.order)) break;
    seen.add(now.order);
    assert.ok(now.ring, `${name}: the focus is not seen on ${now.what}`);
    assert.ok(!now.covered && !now.out, `${name}: ${now.what} has the focus and is not in sight`);
    assert.ok(before === null || now.order > before, `${name}: ${now.what} comes before what it follows`);
    before = now.order;
  }
  assert.ok(seen.size >= 5, `${name}: ${seen.size} stops`);
}

const BY_HOSPITAL = 'SELECT hospital, COUNT(*) AS patients\nFROM person\nGROUP BY hospital\nORDER BY hospital';

test('a wrong token is refused, and the page is small', async () => {
  const page = await open(federation.url);
  await page.fill('#token', 'not the token of anybody');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').waitFor();
  assert.match(await page.getByRole('alert').innerText(), /unknown/);
  await audit(page, 'login');
  await shot(page, 'login');
  const bytes = await page.evaluate(() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
    .filter((e) => !e.name.includes('/v1/')).reduce((sum, e) => sum + e.encodedBodySize, 0));
  console.log(`first paint: ${(bytes / 1024).toFixed(1)} kB compressed`);
  assert.ok(bytes > 5_000 && bytes < 300 * 1024, `${bytes} bytes`);
  assert.equal(await page.evaluate(() => performance.getEntriesByType('resource').every((e) => e.name.startsWith(location.origin))), true, 'something came from elsewhere');
});

test('with the keyboard alone: write, complete, see the cost, run, see chart and intervals', async () => {
  const page = await open(federation.url);
  await page.waitForSelector('#token');
  for (let i = 0; i < 5 && await page.evaluate(() => document.activeElement.id) !== 'token'; i++) await page.keyboard.press('Tab'); // skips the provider's link
  await page.keyboard.type(federation.token);
  await page.keyboard.press('Enter');
  await page.waitForSelector('#sql');
  for (let i = 0; i < 30 && await page.evaluate(() => document.activeElement.id) !== 'sql'; i++) await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'sql');
  await page.keyboard.type('SELECT COUNT(*) AS patients FROM pers');
  await page.waitForSelector('.options li');
  await page.keyboard.press('Tab');
  assert.equal(await page.inputValue('#sql'), 'SELECT COUNT(*) AS patients FROM person');
  await page.keyboard.type(' p WHERE p.year_of_b');
  await page.waitForSelector('.options li');
  assert.match(await page.locator('.options li').first().innerText(), /year_of_birth[\s\S]*\[1900, 2030\]/, 'the bounds stand beside the column');
  await shot(page, 'completion');
  await page.keyboard.press('Tab');
  await page.keyboard.type(' < 1990');
  await page.waitForSelector('.price');
  assert.match(await page.locator('.price').innerText(), /ε 0.5/);
  assert.match(await page.locator('.expected').innerText(), /patients\s*± \d/);
  assert.match(await page.locator('.cost').innerText(), /of the study’s budget/);
  await page.keyboard.press('Control+Enter');
  await page.waitForSelector('.figure');
  assert.match(await page.locator('.figure').innerText(), /patients\s+[\d,]+\s+[\d,−]+ to [\d,]+/);
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Answer', 'the focus goes to the answer');
  await page.context().close();
});

// Measures 200 prices after a warm-up, each beside a request that computes nothing. Other load of the
// machine, which runs five hospitals and a browser, slows both. So the bound takes it into account.
test('the price answers while one types', async () => {
  const page = await enter();
  const { price, idle } = await page.evaluate(async (token) => {
    const timed = async (...request) => {
      const begun = performance.now();
      const response = await fetch(...request);
      await response.json();
      if (!response.ok) throw new Error(String(response.status));
      return performance.now() - begun;
    };
    const sql = (i) => `SELECT FLOOR((2024 - p.year_of_birth) / 20) * 20 AS age_from, COUNT(DISTINCT patient) AS patients, 100.0 * COUNT(DISTINCT c.person_id) / COUNT(DISTINCT patient) AS percent
      FROM person p LEFT JOIN condition_era c ON c.person_id = p.person_id AND c.condition_concept_id = ${320128 + i} WHERE p.year_of_birth BETWEEN 1925 AND 2024 GROUP BY age_from`;
    const all = { price: [], idle: [] };
    for (let i = -20; i < 200; i++) {
      const times = {
        idle: await timed('/healthz', { cache: 'no-store' }),
        price: await timed('/v1/outline', { method: 'POST', headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' }, body: JSON.stringify({ sql: sql(i), study: 'tour' }) }),
      };
      if (i >= 0) for (const name of Object.keys(all)) all[name].push(times[name]);
    }
    for (const times of Object.values(all)) times.sort((a, b) => a - b);
    return all;
  }, federation.token);
  const words = (times) => `p50 ${times[99].toFixed(1)} ms, p95 ${times[189].toFixed(1)} ms, worst ${times[199].toFixed(1)} ms`;
  console.log(`price preview in the browser, 200 queries: ${words(price)}; of a question that computes nothing: ${words(idle)}`);
  assert.ok(price[189] <= 50 + idle[189], `p95 is ${price[189]} ms, and ${idle[189]} ms of what computes nothing`);
  await page.context().close();
});

test('an answer as chart, table and files; once more it is free', async () => {
  const page = await enter();
  await ask(page, BY_HOSPITAL);
  assert.equal(await page.locator('.chart .bar').count(), 5);
  assert.equal(await page.locator('.chart .whisker').count(), 5, 'each bar has its interval');
  assert.match(await page.locator('.chart').getAttribute('aria-label'), /5 values with their intervals/);
  assert.match(await page.locator('.answer-head').innerText(), /from 5 of 5 hospitals/);
  assert.match(await page.locator('.answer-head').innerText(), /free/, 'the set-up asked the same');
  assert.match(await page.locator('.cost-body .price').innerText(), /free: answered before/, 'and the price says so');
  await page.getByRole('button', { name: 'Table' }).click();
  const rows = await page.locator('.answer tbody tr').allInnerTexts();
  assert.equal(rows.length, 5);
  for (const row of rows) assert.match(row, /^\w+\s+[\d,]+\s*[\d,]+ – [\d,]+$/);
  await shot(page, 'table');
  await page.getByRole('button', { name: 'Chart' }).click();
  for (const [format, magic] of [['CSV', 'hospital,patients,patients_low,patients_high'], ['Parquet', 'PAR1'], ['SVG', '<svg'], ['PNG', '\x89PNG']]) {
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: format, exact: true }).click()]);
    const content = fs.readFileSync(await file.path(), 'latin1');
    assert.ok(content.startsWith(magic) && content.length > 100, `${format}: ${content.slice(0, 40)}`);
    assert.match(file.suggestedFilename(), /^intramuros-[0-9a-f]{8}\.(csv|parquet|svg|png)$/);
  }
  await page.context().close();
});

test('each kind of chart', async () => {
  const page = await enter();
  const examples = await page.locator('.question select').first().locator('option').allInnerTexts();
  for (const [name, kind, marks] of [['Age pyramid', 'histogram', '.bar'], ['Deaths by year', 'lines', '.ribbon'], ['Systolic pressure, histogram', 'histogram', '.bar'],
    ['Influenza by month and hospital', 'multiples', '.heading'], ['Survival by sex', 'survival', '.ribbon']]) {
    await page.locator('.question select').first().selectOption({ index: examples.indexOf(name) });
    await page.waitForSelector('.price');
    await page.locator('.actions .main').click();
    await page.waitForSelector('.answer, .result [role=alert]');
    assert.equal(await page.getByLabel('Kind of chart').inputValue(), kind, `${name}: ${await page.locator('.result').innerText()}`);
    assert.ok(await page.locator(`.chart ${marks}`).count() > 0, name);
    for (const d of await page.locator('.chart path').evaluateAll((all) => all.map((p) => p.getAttribute('d')))) assert.doesNotMatch(d, /NaN|undefined|Infinity/, name);
    assert.match(await page.locator('#say').innerText(), /^Answer: \d+ rows?$/, 'a screen reader hears that the answer is there');
    if (kind === 'survival') assert.match(await page.locator('.chart').textContent(), /Patients at risk/);
    await auditBoth(page, name);
    await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
    await shot(page, `chart-${kind}-${name.split(' ')[0].toLowerCase()}`);
    await page.locator('.answer').evaluate((e) => e.remove());
  }
  await page.context().close();
});

test('what asks nothing of patients costs nothing, and an empty answer says why, in French too', async () => {
  const page = await enter({ locale: 'fr-FR' });
  await page.fill('#sql', 'DESCRIBE person');
  await page.waitForSelector('.price');
  assert.match(await page.locator('.cost-body').innerText(), /Ne coûte rien/);
  assert.equal(await page.locator('.fault').count(), 0);
  await page.locator('.actions .main').click();
  await page.waitForSelector('.answer');
  assert.match(await page.locator('.answer').innerText(), /ne coûte rien[\s\S]*year_of_birth/);
  await page.locator('.answer').evaluate((e) => e.remove());
  await page.fill('#sql', 'SELECT gender_concept_id, COUNT(*) AS n, RANK() OVER (ORDER BY COUNT(*) DESC) AS r FROM person GROUP BY 1');
  await page.waitForSelector('.expected li');
  assert.match(await page.locator('.expected').innerText(), /n\s+± [\d,]+\s+r\s+sans intervalle/);
  await page.selectOption('#study', 'tour-open'); // its threshold is for the federation, not for each hospital
  await page.fill('#sql', 'SELECT death_date, cause_concept_id, COUNT(*) AS n FROM death GROUP BY 1, 2');
  await page.waitForSelector('.cost-body .notice.warn');
  assert.match(await page.locator('.cost-body').innerText(), /à partir d’un nombre bruité de \d+ patients/, 'what a group must have, before it is paid for');
  await shot(page, 'threshold');
  await ask(page, 'SELECT death_date, cause_concept_id, COUNT(*) AS n FROM death GROUP BY 1, 2');
  assert.match(await page.locator('.answer').innerText(), /Aucune ligne : .* à partir d’un nombre bruité de \d+ patients/);
  await auditBoth(page, 'an empty answer');
  await page.context().close();
});

test('an error stands under its token', async () => {
  const page = await enter();
  await page.fill('#sql', "SELECT hospital, 'é' AS x, COUNT(*) AS n,\n  AVG(wieght) AS w\nFROM person\nGROUP BY hospital");
  await page.waitForSelector('.t-fault');
  assert.equal(await page.locator('.t-fault').innerText(), 'wieght', 'bytes are not characters');
  const [token, under] = [await page.locator('.t-fault').boundingBox(), await page.locator('.under').boundingBox()];
  assert.ok(under.y >= token.y + token.height && under.y < token.y + token.height + 14 && under.x <= token.x + token.width && under.x + under.width >= token.x, 'the message is not below the token');
  assert.match(await page.locator('#sql-error').innerText(), /No such column · Line 2, column 7/);
  assert.equal(await page.locator('#sql').getAttribute('aria-invalid'), 'true');
  await audit(page, 'error');
  await shot(page, 'error');
  await page.fill('#sql', 'SELECT person_id FROM person');
  await page.waitForFunction(() => document.querySelector('.t-fault')?.textContent === 'person_id');
  assert.match(await page.locator('#sql-error').innerText(), /Rows of patients are never shown/);
  await page.context().close();
});

test('the plan, and each hospital’s SQL, before one runs', async () => {
  const page = await enter();
  await page.fill('#sql', BY_HOSPITAL);
  await page.waitForSelector('.price');
  await page.locator('.plan').click();
  await page.locator('dialog pre').nth(1).waitFor();
  assert.match(await page.locator('dialog').innerText(), /hospital[\s\S]*SELECT/);
  assert.match(await page.locator('dialog').innerText(), /bordeaux(?: [0-9a-f]{4}){8}[\s\S]*rennes(?: [0-9a-f]{4}){8}[\s\S]*by telephone/, 'the keys of the hospitals that mask');
  await audit(page, 'plan');
  await targets(page, 'plan');
  await shot(page, 'plan');
  await page.keyboard.press('Escape');
  await page.locator('dialog').waitFor({ state: 'detached' });
  assert.equal(await page.evaluate(() => document.activeElement.className), 'quiet plan', 'the focus goes back');
  await page.context().close();
});

test('a link holds the question, and does not ask it', async () => {
  const hash = `#${new URLSearchParams({ sql: 'SELECT COUNT(*) AS n FROM death', study: 'tour', epsilon: '0.25' })}`;
  const page = await enter({ hash });
  assert.equal(await page.inputValue('#sql'), 'SELECT COUNT(*) AS n FROM death');
  await page.waitForSelector('.price');
  assert.match(await page.locator('.price').innerText(), /ε 0.25/);
  assert.equal(await page.locator('.answer').count(), 0);
  await page.context().close();
});

const provided = (page) => page.getByRole('link', { name: /CHU de Test/ });

/** viaProvider signs in at the provider and comes back. */
async function viaProvider(page) {
  await provided(page).click();
  await page.waitForURL(`${federation.provider.url}/**`);
  await page.getByRole('link', { name: 'I am Ada' }).click();
  await page.waitForURL(`${federation.url}/**`);
}

/** held returns all that a script of the page, or somebody who looks at the screen, could read. */
const held = (page) => page.evaluate(() => JSON.stringify([location.href, document.cookie, { ...localStorage }, { ...sessionStorage }, performance.getEntriesByType('resource').map((e) => e.name)]));

test('sign in at a provider: no token in the page, and the hospitals believe who asks', async () => {
  const sql = 'SELECT COUNT(*) AS n FROM person';
  const page = await open(`${federation.url}/#${new URLSearchParams({ sql, study: 'provided' })}`);
  await provided(page).waitFor();
  await audit(page, 'login with a provider');
  await shot(page, 'login-provider');
  await viaProvider(page);
  await page.waitForSelector('#sql');
  assert.equal(await page.inputValue('#sql'), sql, 'the question of the link outlives the way');
  assert.doesNotMatch(page.url(), /code=|state=|eyJ/);
  await until('the coordinator knows that all have approved', async () => {
    await ask(page, sql);
    return page.locator('.answer').count();
  }, 40);
  assert.match(await page.locator('.answer-head').innerText(), /from 5 of 5 hospitals/);
  assert.match(await page.locator('.tools').innerText(), /ada@idp/);
  const seen = await held(page);
  for (const token of federation.provider.issued) assert.ok(!seen.includes(token.slice(0, 40)), 'a token is in the page');
  assert.doesNotMatch(seen, /eyJ|__Host/);
  const cookies = (await page.context().cookies(federation.url)).filter((c) => c.name.includes('intramuros'));
  assert.deepEqual(cookies.map(({ name, httpOnly, secure, sameSite, expires }) => ({ name, httpOnly, secure, sameSite, expires })),
    [{ name: '__Host-intramuros', httpOnly: true, secure: true, sameSite: 'Strict', expires: -1 }]);
  await page.reload();
  await page.waitForSelector('#sql'); // still signed in

  const other = await page.context().newPage();
  await other.goto(`${federation.url}/v1/me`);
  assert.match(await other.content(), /UNAUTHORIZED/, 'a link to the API speaks for nobody');
  await other.close();

  await page.getByRole('button', { name: 'Sign out' }).click();
  await provided(page).waitFor();
  assert.equal((await page.context().cookies(federation.url)).filter((c) => c.name.includes('intramuros')).length, 0);
  await page.reload();
  await provided(page).waitFor();
  await page.context().close();
});

test('a provider’s answer that is wrong signs nobody in', async () => {
  const { provider } = federation;
  const page = await open(federation.url);
  for (const [name, words, change] of [
    ['another state', /not begun in this browser/, () => { provider.answer = (a) => { a.state = 'another'; }; }],
    ['another issuer', /was not accepted/, () => { provider.answer = (a) => { a.iss = 'https://elsewhere.example'; }; }],
    ['another nonce', /was not accepted/, () => { provider.claims = { nonce: 'another' }; }],
    ['another audience', /was not accepted/, () => { provider.claims = { aud: 'another' }; }],
    ['expired', /was not accepted/, () => { provider.claims = { exp: Math.floor(Date.now() / 1000) - 120 }; }],
    ['canceled', /you canceled/, () => { provider.answer = (a) => { delete a.code; a.error = 'access_denied'; }; }],
  ]) {
    try {
      change();
      await viaProvider(page);
      await page.getByRole('alert').waitFor();
      assert.match(await page.getByRole('alert').innerText(), words, name);
      assert.equal(await page.locator('#token').count(), 1, name);
      assert.equal((await page.context().cookies(federation.url)).filter((c) => c.name.includes('intramuros')).length, 0, name);
    } finally {
      provider.answer = () => {};
      provider.claims = {};
    }
  }
  await audit(page, 'login refused');
  await shot(page, 'login-refused');
  await page.context().close();
});

test('a session is renewed while one works; when it ends, the question is kept', async () => {
  const { provider } = federation;
  provider.life = 20; // a token is renewed in its last half minute, so at once
  try {
    const page = await open(federation.url);
    await viaProvider(page);
    await page.waitForSelector('#sql');
    const begun = provider.issued.length;
    await page.fill('#sql', 'SELECT COUNT(*) AS n FROM death');
    await page.waitForSelector('.price');
    assert.ok(provider.issued.length > begun, 'the token was renewed');
    provider.renewing = false;
    await page.fill('#sql', 'SELECT COUNT(*) AS deaths FROM death');
    await page.getByRole('alert').filter({ hasText: 'Your session has ended' }).waitFor();
    provider.renewing = true;
    provider.life = 300;
    await viaProvider(page);
    await page.waitForSelector('#sql');
    assert.equal(await page.inputValue('#sql'), 'SELECT COUNT(*) AS deaths FROM death');
    await page.context().close();
  } finally {
    provider.life = 300;
    provider.renewing = true;
  }
});

test('questions are saved by name, and go to another browser as a file', async () => {
  const page = await enter();
  const keep = async (name, sql) => {
    await page.fill('#sql', sql);
    await page.getByRole('button', { name: 'Save …' }).click();
    await page.fill('#save-name', name);
    if (name === 'Deaths') await audit(page, 'save');
    await page.locator('dialog').getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByText(`Saved as ${name}`).waitFor();
  };
  await keep('Patients', 'SELECT COUNT(*) FROM death');
  await keep('Patients', BY_HOSPITAL); // it replaces the other
  await keep('Deaths', 'SELECT COUNT(*) AS n FROM death');
  await page.click('nav a[href="#past"]');
  await until('both are listed', async () => (await page.locator('section .past h3').count()) === 2);
  assert.deepEqual(await page.locator('section .past h3').allInnerTexts(), ['Deaths', 'Patients']);
  await audit(page, 'questions');
  await shot(page, 'questions');
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Save as a file' }).click()]);
  const text = fs.readFileSync(await file.path(), 'utf8');
  assert.ok(!/"rows"|"value"/.test(text), 'a file of questions holds no answer');
  await page.getByRole('button', { name: 'Open: Patients' }).click();
  await page.waitForSelector('#sql');
  assert.equal(await page.inputValue('#sql'), BY_HOSPITAL);
  assert.equal(await page.locator('.answer').count(), 0, 'what is opened is not asked');
  await page.context().close();

  const other = await enter();
  await other.fill('#sql', 'SELECT COUNT(*) AS n FROM person');
  await other.getByRole('button', { name: 'Save …' }).click();
  await other.fill('#save-name', 'Deaths');
  await other.keyboard.press('Enter');
  await other.click('nav a[href="#past"]');
  const give = (content) => other.setInputFiles('section input[type=file]', { name: 'questions.json', mimeType: 'application/json', buffer: Buffer.from(content) });
  for (const wrong of ['no JSON', '{"questions": []}', 'null', '{"kind": "intramuros saved questions", "questions": 7}']) {
    await give(wrong);
    await other.getByText('This is no file of saved questions.').waitFor();
  }
  await give(text);
  await until('the file is taken', async () => (await other.locator('section .past h3').count()) === 3);
  assert.deepEqual(await other.locator('section .past h3').allInnerTexts(), ['Deaths (2)', 'Patients', 'Deaths'], 'nobody’s file replaces a question of one’s own');
  await give(JSON.stringify({ kind: 'intramuros saved questions', questions: [{ name: '<img src=x onerror=alert(1)>', sql: 'SELECT 1', epsilon: 'x', study: 7 }, { name: 'no text' }] }));
  await other.getByText('<img src=x').waitFor(); // it is shown as text
  assert.equal(await other.locator('section .past h3').count(), 4);
  await other.getByRole('button', { name: 'Forget: Deaths (2)' }).click();
  await until('it is gone', async () => (await other.locator('section .past h3').count()) === 3);
  await other.context().close();
});

test('a study is requested: the file is one that the operator can propose', async () => {
  const page = await enter();
  await page.click('nav a[href="#budget"]');
  await page.getByRole('link', { name: 'Request a study' }).click();
  await page.waitForSelector('#study-id');
  await auditBoth(page, 'request');
  await targets(page, 'request');
  await page.fill('#study-id', 'metformin-2027');
  await page.fill('#study-name', 'Metformin: "the heart" # and {more}');
  await page.fill('#study-purpose', 'Whether metformin lowers\nthe risk: yes or no?');
  await page.fill('#study-legal', 'CESREES 2027-0411');
  await page.fill('#study-investigators', 'visitor, ada@idp');
  await page.fill('#study-delta', '0.0000001');
  await page.fill('#study-expires', new Date(Date.now() + 30 * 86400e3).toISOString().slice(0, 10));
  const go = page.getByRole('button', { name: 'Save the request' });
  await go.click();
  await page.getByText('Choose at least one table.').waitFor();
  await page.getByLabel('person', { exact: true }).check();
  await page.getByLabel('person: columns').fill('gender_concept_id, birth_year');
  await page.getByLabel('measurement', { exact: true }).check();
  await go.click();
  await page.getByText('person has no column birth_year.').waitFor();
  await page.getByLabel('person: columns').fill('gender_concept_id, year_of_birth');
  await page.getByLabel('marseille').uncheck();
  await page.getByLabel('quantiles and histograms').uncheck();
  await page.evaluate(() => scrollTo(0, 0));
  await shot(page, 'request');
  const [file] = await Promise.all([page.waitForEvent('download'), go.click()]);
  assert.equal(file.suggestedFilename(), 'metformin-2027.yaml');
  const path_ = federation.file('metformin-2027.yaml');
  await file.saveAs(path_);
  await federation.cli('study', 'propose', path_, '--file', federation.file('coordinator/coordinator.ledger'), '--key', federation.file('pki/olga.key'));
  let shown = '';
  await until('the coordinator has it', async () => {
    shown = await federation.cli('study', 'show', 'metformin-2027', '--file', federation.file('coordinator/coordinator.ledger'));
    return shown.includes('Metformin: "the heart" # and {more}');
  });
  for (const want of ['visitor', 'ada@idp', 'year_of_birth', 'measurement', '1e-07', 'sealed']) assert.ok(shown.includes(want), `${want} is not in\n${shown}`);
  assert.ok(!/marseille|distribution/.test(fs.readFileSync(path_, 'utf8')), 'what was not ticked is not asked for');
  await page.context().close();
});

test('each hospital’s permissions are shown, and the catalogue as a file', async () => {
  const page = await enter();
  await page.click('nav a[href="#hospitals"]');
  await until('every hospital says what it permits', async () => (await page.locator('.hospitals li').allInnerTexts()).every((x) => /Permits tour[\s\S]*all columns that single nobody out[\s\S]*1,000 rows, 100 groups/.test(x)));
  assert.match(await page.locator('.hospitals li').first().innerText(), /Left for the study\s+[\d.]+%\s\/ ε 20[\s\S]*Left over all studies[\s\S]*ε 0\.01 – 2/);
  await audit(page, 'permits');
  await shot(page, 'permits');
  await page.click('nav a[href="#catalog"]');
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Catalogue as a file' }).click()]);
  await file.saveAs(federation.file('taken.yaml'));
  await federation.cli('synth', '--catalog', federation.file('taken.yaml'), '--out', federation.file('taken.duckdb'), '--patients', '20');
  await page.locator('#sql, #find').first().waitFor();
  await page.context().close();
});

test('operators see how the federation stands, and nobody else does', async () => {
  const visitor = await enter();
  assert.equal(await visitor.locator('nav a[href="#operation"]').count(), 0);
  await visitor.evaluate(() => { location.hash = '#operation'; });
  await visitor.waitForSelector('#sql');
  const code = await visitor.evaluate(async (token) => (await (await fetch('/v1/operation', { headers: { Authorization: `Bearer ${token}` } })).json()).error.code, federation.token);
  assert.equal(code, 'NOT_OPERATOR');
  await visitor.context().close();
  for (const [locale, dark, width] of [['en-GB', false, 1280], ['fr-FR', true, 400]]) {
    const page = await open(federation.url, { locale, dark, width });
    await page.fill('#token', federation.operatorToken);
    await page.keyboard.press('Enter');
    await page.click('nav a[href="#operation"]');
    await page.waitForSelector('#o-studies');
    const text = await page.locator('main').innerText();
    for (const want of [...hospitals, 'tour', 'provided', dark ? 'n’ouvre aucun port' : 'opens no port', dark ? 'Requêtes en cours' : 'Queries running']) assert.ok(text.includes(want), `${want} is not in\n${text}`);
    await until('each hospital’s certificate and release are known', async () => {
      await page.reload();
      await page.waitForSelector('#o-studies');
      return (await page.locator('#o-hospitals + .table tbody tr').allInnerTexts()).every((x) => !/none seen|pas encore|\t–\t/.test(x));
    });
    await auditBoth(page, `operation ${locale}`);
    await targets(page, `operation ${locale}`);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= width, 'the operators’ page is too wide');
    await page.emulateMedia({ colorScheme: dark ? 'dark' : 'light', reducedMotion: 'reduce' });
    await shot(page, `operation-${locale.slice(0, 2)}-${width}`);
    await page.context().close();
  }
});

test('a hanging hospital is seen, and the query canceled', async () => {
  const page = await enter();
  federation.signal('rennes', 'SIGSTOP');
  try {
    await page.fill('#sql', 'SELECT COUNT(*) AS n FROM drug_exposure');
    await page.waitForSelector('.price');
    await page.locator('.actions .main').click();
    await page.waitForSelector('.steps li');
    assert.equal(await page.locator('.steps li').count(), hospitals.length);
    await audit(page, 'running');
    assert.equal(await page.locator('#say').innerText(), 'The hospitals are computing');
    await shot(page, 'running');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Cancel');
    await page.keyboard.press('Enter');
    await page.locator('.result [role=alert]').waitFor();
    assert.match(await page.locator('.result').innerText(), /Canceled/);
    assert.ok(await page.getByRole('button', { name: 'Run', exact: true }).isVisible());
  } finally {
    federation.signal('rennes', 'SIGCONT');
  }
  await page.click('nav a[href="#past"]');
  await page.waitForSelector('.past li');
  assert.match(await page.locator('.past li').first().innerText(), /drug_exposure[\s\S]*CANCELED/);
  await page.context().close();
});

test('a study is approved at a node, narrower, with the key in the browser', async () => {
  for (const name of hospitals.slice(1)) {
    const ledger = federation.file(`${name}/node.ledger`);
    await until(`${name} hears of the study`, async () => (await federation.cli('study', 'list', '--file', ledger)).includes('small'), 40);
    await federation.cli('study', 'approve', 'small', '--file', ledger, '--key', federation.file('pki/claire.key'));
  }
  const page = await custodian();
  await until('the study waits', async () => {
    await page.reload();
    return page.locator('.study.waits', { hasText: 'A small study' }).count();
  }, 40);
  const waits = page.locator('.study.waits', { hasText: 'A small study' }); // another study waits, too
  assert.match(await waits.innerText(), /A small study[\s\S]*proposed[\s\S]*To see a budget end\./);
  await audit(page, 'custodian');
  await shot(page, 'custodian');
  await waits.getByRole('button', { name: 'Approve' }).click();
  await page.fill('#sign-epsilon', '0.9');
  await page.getByRole('button', { name: 'Sign', exact: true }).click();
  await page.getByRole('alert').waitFor(); // no key is chosen yet
  await page.setInputFiles('#sign-key', federation.file('pki/olga.key'));
  await page.getByRole('button', { name: 'Sign', exact: true }).click();
  await page.getByText('The node refuses the decision').waitFor(); // the operator is not a custodian
  await page.setInputFiles('#sign-key', federation.file('pki/claire.key'));
  await audit(page, 'sign');
  await shot(page, 'custodian-sign');
  await page.getByRole('button', { name: 'Sign', exact: true }).click();
  await page.locator('dialog').waitFor({ state: 'detached' });
  await page.locator('.study.waits', { hasText: 'A small study' }).waitFor({ state: 'detached' });
  assert.match(await page.locator('.study', { hasText: 'A small study' }).innerText(), /approved, narrower[\s\S]*ε 0\.9/);
  assert.match(await federation.cli('study', 'show', 'small', '--file', federation.file('rennes/node.ledger')), /amended/);
  await page.getByRole('button', { name: 'Verify now' }).click();
  await page.locator('.whole .notice').waitFor();
  assert.match(await page.locator('.whole').innerText(), /The ledger is whole[\s\S]*[0-9a-f]{64}/);
  await page.getByLabel('Show').selectOption('charge');
  await page.locator('.entries .k-charge').first().locator('summary').first().click();
  assert.match(await page.locator('.entries .k-charge pre').first().innerText(), /SELECT/);
  await shot(page, 'custodian-log');
  await page.context().close();
});

test('a budget runs out, and the page said so before', async () => {
  const page = await enter();
  await page.selectOption('#study', 'small');
  await page.waitForSelector('#sql');
  await until('the coordinator knows that all have approved', async () => {
    await ask(page, 'SELECT COUNT(*) AS n FROM death');
    const answered = await page.locator('.answer').count();
    if (!answered) await page.locator('.result > *').evaluate((e) => e.remove());
    return answered;
  }, 40);
  await page.fill('#sql', 'SELECT COUNT(*) AS n FROM person');
  await page.locator('.cost .notice.bad').waitFor();
  assert.match(await page.locator('.cost').innerText(), /has not enough left/);
  await ask(page, 'SELECT COUNT(*) AS n FROM person');
  await page.locator('.result [role=alert]').waitFor();
  assert.match(await page.locator('.result').innerText(), /The budget is exhausted/);
  await shot(page, 'exhausted');
  await page.click('nav a[href="#budget"]');
  await page.waitForSelector('.gauge');
  assert.equal(await page.locator('.budget + section tbody tr').count(), 1);
  assert.match(await page.locator('.budget').innerText(), /Narrowest hospital\s+rennes/);
  await audit(page, 'budget');
  await shot(page, 'budget');
  await page.click('nav a[href="#hospitals"]');
  await page.locator('.hospitals li', { hasText: 'allows the least' }).waitFor();
  assert.match(await page.locator('.hospitals li', { hasText: 'allows the least' }).innerText(), /^rennes[\s\S]*ε 0\.9/i);
  await page.context().close();
});

test('the red button stops the hospital, over a restart, until it is released', async () => {
  const [page, desk] = [await enter(), await custodian({ locale: 'fr-FR', dark: true })];
  await desk.getByRole('button', { name: 'Tout arrêter' }).click();
  await desk.fill('#hold-reason', 'Nous vérifions quelque chose.');
  await desk.locator('dialog').getByRole('button', { name: 'Tout arrêter' }).click();
  await desk.getByText('Cet hôpital est arrêté', { exact: true }).waitFor();
  await audit(desk, 'stopped');
  await shot(desk, 'custodian-stopped-fr');
  await ask(page, 'SELECT COUNT(*) AS n FROM visit_occurrence');
  assert.match(await page.locator('.result').innerText(), /rennes[\s\S]*its custodian has stopped it/);
  federation.signal('rennes', 'SIGTERM');
  await federation.daemons.get('rennes').gone;
  federation.daemon('node', 'rennes');
  await until('the node is back', async () => (await fetch(federation.custodian('rennes'))).ok);
  await desk.reload();
  await desk.getByText('Cet hôpital est arrêté', { exact: true }).waitFor();
  await desk.getByRole('button', { name: 'Répondre de nouveau' }).click();
  await desk.getByRole('button', { name: 'Tout arrêter' }).waitFor();
  await until('rennes answers again', async () => {
    await ask(page, 'SELECT COUNT(*) AS n FROM visit_occurrence');
    const answered = await page.locator('.answer').count();
    if (!answered) await page.locator('.result > *').evaluate((e) => e.remove());
    return answered;
  }, 40);
  await desk.context().close();
  await page.context().close();
});

test('every page, in both languages, in the light and in the dark, and on 400 pixels', async () => {
  for (const [locale, dark, width] of [['en-GB', false, 1280], ['fr-FR', true, 400]]) {
    const page = await enter({ locale, dark, width });
    assert.equal(await page.getAttribute('html', 'lang'), locale.slice(0, 2));
    await ask(page, BY_HOSPITAL);
    for (const name of ['ask', 'catalog', 'budget', 'hospitals', 'past']) {
      if (name !== 'ask') await page.click(`nav a[href="#${name}"]`);
      await page.waitForSelector({ ask: '.answer', catalog: '.table-card', budget: '.gauge', hospitals: '.hospitals', past: '.past' }[name]);
      if (name === 'catalog') {
        await page.fill('#find', 'year_of_birth');
        await page.waitForSelector('.columns');
      }
      await targets(page, `${name} ${locale}`);
      await walk(page, `${name} ${locale}`);
      await auditBoth(page, `${name} ${locale}`);
      await page.emulateMedia({ colorScheme: dark ? 'dark' : 'light', reducedMotion: 'reduce' });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= width, `${name} is ${wide} pixels wide, on ${width}`);
      await shot(page, `${name}-${locale.slice(0, 2)}-${width}${dark ? '-dark' : ''}`);
    }
    await page.click('nav a[href="#ask"]');
    await page.waitForSelector('#sql');
    await page.waitForSelector('.answer');
    await page.locator('.tools button').first().click(); // the other language
    assert.notEqual(await page.getAttribute('html', 'lang'), locale.slice(0, 2));
    assert.equal(await page.inputValue('#sql'), BY_HOSPITAL, 'the question is still there');
    await page.context().close();
    const desk = await custodian({ locale, dark, width });
    await targets(desk, `custodian ${locale}`);
    await walk(desk, `custodian ${locale}`);
    await auditBoth(desk, `custodian ${locale}`);
    await desk.emulateMedia({ colorScheme: dark ? 'dark' : 'light', reducedMotion: 'reduce' });
    assert.ok(await desk.evaluate(() => document.documentElement.scrollWidth) <= width, 'the custodian’s page is too wide');
    await shot(desk, `custodian-${locale.slice(0, 2)}-${width}${dark ? '-dark' : ''}`);
    await desk.context().close();
  }
});

/** sign signs the dialog's decision with somebody's key. */
async function sign(page, key) {
  await page.setInputFiles('#sign-key', federation.file(`pki/${key}.key`));
  await page.getByRole('button', { name: 'Sign', exact: true }).click();
  await page.locator('dialog').waitFor({ state: 'detached' });
  await until('the page tells of it', async () => /Signed, and in the ledger|must sign the same|stays stopped|answers again/.test(await page.locator('#say').innerText()));
  await page.evaluate(() => { document.getElementById('say').textContent = ''; });
}

/** proposed lets the operator propose a study, and waits until a hospital has received it. */
async function proposed(document, id, hospital) {
  fs.writeFileSync(federation.file(`${id}.yaml`), document);
  await federation.cli('study', 'propose', federation.file(`${id}.yaml`), '--file', federation.file('coordinator/coordinator.ledger'), '--key', federation.file('pki/olga.key'));
  await until(`${hospital} hears of it`, async () => (await federation.cli('study', 'list', '--file', federation.file(`${hospital}/node.ledger`))).includes(id), 40);
}

const KEPT = STUDY.replace('id: small', 'id: kept').replace('A small study', 'A study that is kept narrow').replace('purpose: To see a budget end.', 'purpose: |\n  To see what is narrowed\n  stay so.')
  .replace('{"*": ["*"]}', '{person: [gender_concept_id, year_of_birth], death: ["*"]}').replace('[visitor]', '[visitor, eve]');

test('what is narrowed in the browser is suspended and resumed as it was narrowed, in both languages', async () => {
  await proposed(KEPT, 'kept', 'rennes');
  const page = await custodian();
  const card = page.locator('.study', { hasText: 'A study that is kept narrow' });
  assert.match(await card.locator('dd').first().innerText(), /To see what is narrowed\nstay so\./, 'lines stay lines');
  await card.getByRole('button', { name: 'Approve' }).click();
  await sign(page, 'claire');
  await card.getByRole('button', { name: 'Narrow' }).click();
  await page.fill('#sign-max', '0.1');
  await page.getByLabel('eve', { exact: true }).uncheck();
  await page.fill('#sign-tables', 'person: gender_concept_id, born');
  await page.setInputFiles('#sign-key', federation.file('pki/claire.key'));
  await page.getByRole('button', { name: 'Sign', exact: true }).click();
  await page.getByText('it allows more than the proposal: the columns of table person').waitFor();
  await page.fill('#sign-tables', 'person: gender_concept_id');
  await page.fill('#sign-reason', 'One column is enough.');
  await audit(page, 'narrow');
  await shot(page, 'custodian-narrow');
  await sign(page, 'claire');
  await card.getByRole('button', { name: 'Suspend' }).click();
  await page.fill('#sign-reason', 'A question to the committee.');
  await sign(page, 'claire');
  assert.match(await card.innerText(), /claire suspended it on [\s\S]*Reason: A question to the committee\.[\s\S]*Resume opens it again on the terms below/);
  await auditBoth(page, 'suspended');
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
  await shot(page, 'custodian-suspended');
  await card.getByRole('button', { name: 'Resume' }).click();
  assert.match(await page.locator('dialog').innerText(), /visitor\s+Tables and columns\s+person \(gender_concept_id\)\s/, 'what is signed is what held');
  await shot(page, 'custodian-resume');
  await sign(page, 'claire');
  await page.context().close();
  const stands = await federation.cli('study', 'show', 'kept', '--file', federation.file('rennes/node.ledger'));
  assert.match(stands, /study +kept, amended[\s\S]*What holds here:[\s\S]*may ask +visitor\n[\s\S]*person \(gender_concept_id\)\n[\s\S]*at most epsilon 0\.1/);

  const french = await custodian({ locale: 'fr-FR' });
  await french.getByLabel('Afficher').selectOption('study');
  await french.getByLabel('de l’étude').selectOption('kept');
  await until('the log is filtered', async () => (await french.locator('.entries').innerText()).includes('claire a repris la version 1 de l’étude kept, telle qu’elle valait'));
  assert.match(await french.locator('.entries').innerText(), /a suspendu l’étude kept ; motif : A question to the committee\.[\s\S]*a restreint la version 1 de l’étude kept à : [\s\S]*pour visitor ; motif : One column/);
  await french.getByLabel('de l’étude').selectOption('');
  await french.getByLabel('Afficher').selectOption('');
  await until('all entries are shown', async () => french.locator('.entries .k-charge').count());
  const older = french.getByRole('button', { name: 'Inscriptions plus anciennes' });
  while (await older.isVisible()) {
    const shown = await french.locator('.entries > li').count();
    await older.click();
    await until('older entries are shown', async () => await french.locator('.entries > li').count() > shown);
  }
  assert.deepEqual(await french.locator('.entries > li > .said[lang=en]').allInnerTexts(), [], 'entries that are English in French');
  assert.match(await french.locator('.entries .k-reserve .said').allInnerTexts().then((all) => all.join('\n')), /où person\.gender_concept_id IN[^]*pour chaque hospital|pour chaque hospital[^]*où person\.gender_concept_id IN/);
  await shot(french, 'custodian-log-fr');
  await french.context().close();
});

test('a study that failures have suspended says so, why and what to do', async () => {
  const page = await open(federation.custodian('rennes'), { locale: 'fr-FR' });
  await page.route('**/v1/standing', async (route) => { // the node answers in this form (node.TestFailuresSuspend)
    const response = await route.fetch();
    const standing = await response.json();
    Object.assign(standing.studies.find((x) => x.id === 'tour'), { status: 'suspended', failed: true, failures: 5, open: false });
    await route.fulfill({ response, json: standing });
  });
  await page.fill('#token', federation.custodianToken);
  await page.keyboard.press('Enter');
  const card = page.locator('.study', { hasText: 'A tour of the demonstration' });
  await card.waitFor();
  assert.match(await card.innerText(), /Suspendue : 5 requêtes ont échoué après leur débit[\s\S]*ligne coupée[\s\S]*reprenez l’étude/);
  await card.scrollIntoViewIfNeeded();
  await auditBoth(page, 'failures');
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
  await card.screenshot({ path: path.join(shots, 'custodian-failures-fr.png') });
  await card.getByRole('button', { name: 'Voir ces échecs' }).click();
  await until('the log shows failures', async () => await page.getByLabel('Afficher').inputValue() === 'failure' && await page.getByLabel('de l’étude').inputValue() === 'tour');
  assert.ok(await card.getByRole('button', { name: 'Reprendre' }).isVisible());
  await page.context().close();
});

test('at a hospital where two must sign custodians come in through a provider, and one signature opens nothing', async () => {
  const { provider } = federation;
  const config = federation.file('marseille/config.yaml');
  await federation.cli('pki', 'key', '--out', federation.file('pki/bert'));
  const address = federation.custodian('marseille').replace('http:', 'https:');
  fs.writeFileSync(federation.file('dora.token'), 'the token of dora alone', { mode: 0o600 });
  fs.writeFileSync(config, `${fs.readFileSync(config, 'utf8').replace('custodians: {claire: ../pki/claire.pub}', 'signatures_required: 2\ncustodians: {claire: ../pki/claire.pub, bert: ../pki/bert.pub}')
    .replace('  token: {file: ../console.token}\n', `  people: {dora: {file: ../dora.token}}
  certificate: ../pki/coordinator-main.pem
  key: ../pki/coordinator-main.key
  issuers: [{issuer: "${provider.url}", audience: custodians, ca: ../pki/ca.pem, name: preferred_username, suffix: "@chu", roles_claim: roles}]
  sign_in: {address: "${address}", providers: {chu: {issuer: "${provider.url}", title: CHU de Test}}}
`)}`);
  federation.signal('marseille', 'SIGTERM');
  await federation.daemons.get('marseille').gone;
  const starts = () => federation.read('marseille/log').split('the custodian\'s console is up').length;
  const before_ = starts();
  federation.daemon('node', 'marseille');
  await until('the node is back', async () => starts() > before_);
  assert.match(await federation.cli('study', 'list', '--file', federation.file('marseille/node.ledger')), /provided +suspended \(1 more must sign\)/);

  const page = await open(address);
  const through = async () => {
    await provided(page).click();
    await page.waitForURL(`${provider.url}/**`);
    await page.getByRole('link', { name: 'I am Ada' }).click();
    await page.waitForURL(`${address}/**`);
  };
  try {
    await provided(page).waitFor();
    await audit(page, 'custodian’s login with a provider');
    await shot(page, 'custodian-login-provider');
    provider.claims = { aud: 'custodians', preferred_username: 'ada', roles: ['researcher'] };
    await through();
    await page.getByRole('alert').filter({ hasText: 'not let in here' }).waitFor();
    provider.claims = { aud: 'console', preferred_username: 'claire', roles: ['custodian'] }; // the researchers' client
    await through();
    await page.getByRole('alert').filter({ hasText: 'was not accepted' }).waitFor();
    provider.claims = { aud: 'custodians', preferred_username: 'claire', roles: ['custodian'] };
    await through();
    await page.waitForSelector('.sections');
  } finally {
    provider.claims = {};
  }
  assert.match(await page.locator('.tools').innerText(), /claire@chu/);
  assert.doesNotMatch(await held(page), /eyJ|__Host/);
  const card = page.locator('.study', { hasText: 'A study of a person with a provider' });
  assert.match(await card.innerText(), /Signed by claire[\s\S]*1 more of the custodians must sign[\s\S]*more custodians must sign than opened it/);
  await auditBoth(page, 'two must sign');
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
  await shot(page, 'custodian-two');
  await card.getByRole('button', { name: 'Sign as well' }).click();
  await sign(page, 'claire'); // the same key twice is one
  await page.getByText('1 more of the custodians must sign').first().waitFor();
  assert.match(await card.innerText(), /suspended/);
  await card.getByRole('button', { name: 'Sign as well' }).click();
  assert.match(await page.locator('dialog').innerText(), /You sign what claire signed:/);
  await shot(page, 'custodian-cosign');
  await sign(page, 'bert');
  await until('it is open', async () => /approved/.test(await card.locator('.chip').last().innerText()));
  await card.getByRole('button', { name: 'Suspend' }).click();
  await sign(page, 'bert'); // one is enough
  await until('it is suspended', async () => /suspended/.test(await card.locator('.chip').last().innerText()));
  await page.getByRole('button', { name: 'Stop everything' }).first().click();
  await page.locator('dialog').getByRole('button', { name: 'Stop everything' }).click();
  await page.getByText('By claire@chu.').waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await provided(page).waitFor();
  await page.fill('#token', 'the token of dora alone');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Answer again' }).click(); // a person's token is not a signature
  assert.match(await page.locator('dialog').innerText(), /2 custodians must sign that this hospital answers again/);
  await sign(page, 'claire');
  assert.match(await page.locator('.card.head').innerText(), /This hospital is stopped[\s\S]*Signed that it answers again: claire/);
  await page.getByRole('button', { name: 'Answer again' }).click();
  await shot(page, 'custodian-answer-again');
  await sign(page, 'claire'); // the same key twice is one
  await page.locator('dialog').waitFor({ state: 'detached' });
  assert.match(await page.locator('.card.head').innerText(), /This hospital is stopped/);
  await page.getByRole('button', { name: 'Answer again' }).click();
  await sign(page, 'bert');
  await page.getByRole('button', { name: 'Stop everything' }).first().waitFor();
  assert.match(await federation.cli('ledger', 'show', '--file', federation.file('marseille/node.ledger'), '--kind', 'config'),
    /claire@chu stopped this hospital[\s\S]*claire signed that this hospital answers again\. It does not before 1 more[\s\S]*claire, bert signed that this hospital answers again/);
  const log = federation.read('marseille/log');
  assert.match(log, /person=claire@chu method=GET path=\/v1\/standing/);
  assert.match(log, /let nobody in.*person=ada@chu/);
  assert.match(log, /a signed record comes.*person=claire@chu study=provided act=resume by=bert/);
  assert.doesNotMatch(log, /eyJ|the token of dora/);
  await page.context().close();
});

test('no script failed, and nothing was stopped by the policy', () => assert.deepEqual(faults, []));
