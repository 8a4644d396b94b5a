// An OpenID Connect provider for the tests, with real HTTPS and signatures, on another site than the
// console. It requires PKCE, and accepts each code and each refresh token once.

import crypto from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';

const encode = (x) => Buffer.from(typeof x === 'string' ? x : JSON.stringify(x)).toString('base64url');

export class Provider {
  /** start starts the provider with a certificate for localhost. */
  static async start(certificate, key) {
    const p = new Provider();
    Object.assign(p, { codes: new Map(), refreshes: new Set(), issued: [], life: 300, claims: {}, answer: () => {}, renewing: true });
    p.keys = crypto.generateKeyPairSync('ed25519');
    p.server = https.createServer({ cert: fs.readFileSync(certificate), key: fs.readFileSync(key) }, (request, response) => p.serve(request, response));
    await new Promise((done) => { p.server.listen(0, 'localhost', done); });
    p.url = `https://localhost:${p.server.address().port}`;
    return p;
  }

  stop() {
    this.server.closeAllConnections();
    return new Promise((done) => { this.server.close(done); });
  }

  token(nonce) {
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: this.url, aud: 'console', sub: '81f', preferred_username: 'ada', nonce, jti: crypto.randomUUID(), iat: now, exp: now + this.life, ...this.claims };
    const body = `${encode({ alg: 'EdDSA', kid: 'k', typ: 'JWT' })}.${encode(claims)}`;
    const token = `${body}.${crypto.sign(null, Buffer.from(body), this.keys.privateKey).toString('base64url')}`;
    this.issued.push(token);
    return token;
  }

  async serve(request, response) {
    const url = new URL(request.url, this.url);
    const json = (status, body) => { response.writeHead(status, { 'Content-Type': 'application/json' }); response.end(JSON.stringify(body)); };
    switch (url.pathname) {
      case '/.well-known/openid-configuration':
        return json(200, { issuer: this.url, jwks_uri: `${this.url}/keys`, authorization_endpoint: `${this.url}/authorize`, token_endpoint: `${this.url}/token` });
      case '/keys':
        return json(200, { keys: [{ ...this.keys.publicKey.export({ format: 'jwk' }), kid: 'k', use: 'sig' }] });
      case '/authorize': {
        const code = crypto.randomUUID();
        this.codes.set(code, url.searchParams);
        const back = new URL(url.searchParams.get('redirect_uri'));
        const answer = { code, state: url.searchParams.get('state'), iss: this.url };
        this.answer(answer);
        for (const [k, v] of Object.entries(answer)) back.searchParams.set(k, v);
        response.writeHead(200, { 'Content-Type': 'text/html' });
        return response.end(`<!doctype html><html lang="en"><title>The provider</title><p>Who are you?</p><a href="${back.href.replaceAll('&', '&amp;')}">I am Ada</a>`);
      }
      case '/token': {
        let body = '';
        for await (const chunk of request) body += chunk;
        const form = new URLSearchParams(body);
        let nonce;
        if (form.get('grant_type') === 'authorization_code') {
          const asked = this.codes.get(form.get('code'));
          this.codes.delete(form.get('code'));
          const challenge = crypto.createHash('sha256').update(form.get('code_verifier') || '').digest('base64url');
          if (!asked || asked.get('code_challenge_method') !== 'S256' || asked.get('code_challenge') !== challenge || asked.get('redirect_uri') !== form.get('redirect_uri')) return json(400, { error: 'invalid_grant' });
          nonce = asked.get('nonce');
        } else if (!this.renewing || !this.refreshes.delete(form.get('refresh_token'))) return json(400, { error: 'invalid_grant' });
        const refresh = crypto.randomUUID();
        this.refreshes.add(refresh);
        return json(200, { access_token: 'none', token_type: 'Bearer', expires_in: this.life, id_token: this.token(nonce), refresh_token: refresh });
      }
      default:
        return json(404, {});
    }
  }
}
