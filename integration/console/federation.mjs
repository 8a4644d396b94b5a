// Starts a real federation for the browser tests: the demonstration's folder, with its daemons as processes.

import { execFile, spawn } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { Provider } from './provider.mjs';

const run = promisify(execFile);
const binary = path.resolve(process.env.INTRAMUROS || '../../dist/intramuros');
export const hospitals = ['rennes', 'lyon', 'lille', 'bordeaux', 'marseille'];

export const until = async (what, ready, seconds = 30) => {
  let last;
  for (const end = Date.now() + seconds * 1000; Date.now() < end;) {
    try { if (await ready()) return; last = 'not yet'; } catch (error) { last = error.message; }
    await new Promise((done) => { setTimeout(done, 150); });
  }
  throw new Error(`${what}: not within ${seconds} s: ${last}`);
};

export class Federation {
  static async start() {
    const f = new Federation();
    f.root = fs.mkdtempSync(path.join(os.tmpdir(), 'intramuros-console-'));
    f.folder = path.join(f.root, 'fed');
    f.daemons = new Map();
    try {
      await run(binary, ['demo', '--patients', '3000', '--keep', f.folder], { timeout: 90_000 });
      f.provider = await Provider.start(f.file('pki/coordinator-main.pem'), f.file('pki/coordinator-main.key'));
      f.url = `https://127.0.0.1:${f.read('coordinator/config.yaml').match(/^listen: 127\.0\.0\.1:(\d+)/m)[1]}`;
      const issuers = `\nissuers: [{issuer: "${f.provider.url}", audience: console, ca: ../pki/ca.pem, name: preferred_username, suffix: "@idp"}]\n`;
      for (const name of [...hospitals, 'coordinator']) fs.appendFileSync(f.file(`${name}/config.yaml`), issuers);
      fs.appendFileSync(f.file('coordinator/config.yaml'), `sign_in: {address: "${f.url}", providers: {idp: {issuer: "${f.provider.url}", title: CHU de Test}}}\n`);
      f.operatorToken = 'the-token-of-olga-who-runs-the-federation';
      const hash = crypto.createHash('sha256').update(f.operatorToken).digest('hex');
      fs.writeFileSync(f.file('coordinator/config.yaml'), f.read('coordinator/config.yaml').replace(/^researchers:$/m, `researchers:\n  olga: {token_sha256: ${hash}, roles: [operator]}`));
      for (const name of hospitals) f.daemon('node', name);
      f.daemon('coordinator', 'coordinator');
      f.token = f.read('token').trim();
      f.custodianToken = f.read('console.token').trim();
      await until('all hospitals are there', async () => (await f.cli('query', '--server', f.url, '--ca', f.file('pki/ca.pem'), '--token-file', f.file('token'), '--study', 'tour',
        'SELECT hospital, COUNT(*) AS patients FROM person GROUP BY hospital ORDER BY hospital')).includes('5 rows'));
    } catch (error) {
      await f.stop();
      throw error;
    }
    return f;
  }

  file(name) { return path.join(this.folder, name); }

  read(name) { return fs.readFileSync(this.file(name), 'utf8'); }

  custodian(name) { return `http://127.0.0.1:${this.read(`${name}/config.yaml`).match(/console:\s+listen: 127\.0\.0\.1:(\d+)/)[1]}`; }

  daemon(command, name) {
    const log = fs.openSync(this.file(`${name}/log`), 'a');
    const child = spawn(binary, [command, '--config', this.file(`${name}/config.yaml`)], { stdio: ['ignore', log, log], env: { ...process.env, GOMAXPROCS: '2' } });
    child.gone = new Promise((done) => { child.on('exit', done); });
    this.daemons.set(name, child);
  }

  async cli(...args) { return (await run(binary, args, { timeout: 60_000 })).stdout; }

  signal(name, signal) { this.daemons.get(name).kill(signal); }

  async stop() {
    for (const child of this.daemons.values()) { child.kill('SIGCONT'); child.kill('SIGTERM'); }
    const late = setTimeout(() => { for (const child of this.daemons.values()) child.kill('SIGKILL'); }, 15_000);
    await Promise.all([...this.daemons.values()].map((child) => child.gone));
    clearTimeout(late);
    if (this.provider) await this.provider.stop();
    fs.rmSync(this.root, { recursive: true, force: true });
  }
}
