// Signs with the custodian's key in the browser. The key is read from its file and never sent.

const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

/** openKey reads a signing key, in the PEM form that `intramuros pki key` writes. */
export async function openKey(file) {
  const text = await file.text();
  const body = text.match(/^-----BEGIN PRIVATE KEY-----\s+([A-Za-z0-9+/=\s]+)-----END PRIVATE KEY-----\s*$/);
  if (!body) throw new Error('pem');
  return crypto.subtle.importKey('pkcs8', bytes(body[1].replace(/\s/g, '')), { name: 'Ed25519' }, false, ['sign']);
}

/** said returns the record that a draft's signature would cover, read from its bytes. It throws for another kind. */
export function said(draft, kind = 'study') {
  const text = new TextDecoder().decode(bytes(draft.message));
  const [prefix, ...rest] = text.split('\n');
  if (prefix !== `intramuros/${kind}/1`) throw new Error('message');
  return JSON.parse(rest.join('\n'));
}

/** sign returns the record of a draft with its signature. */
export async function sign(draft, key, kind = 'study') {
  const signature = new Uint8Array(await crypto.subtle.sign({ name: 'Ed25519' }, key, bytes(draft.message)));
  return { ...said(draft, kind), signature: btoa(String.fromCharCode(...signature)) };
}
