// The coordinator's HTTP API. This tab keeps a local account's token, and this browser keeps the history.
// A reader who signed in at a provider has a cookie that no script can read.

const TOKEN = 'intramuros.token';

export const token = {
  get: () => sessionStorage.getItem(TOKEN),
  set: (value) => sessionStorage.setItem(TOKEN, value),
  clear: () => sessionStorage.removeItem(TOKEN),
};

/** Refusal is an error of the API: {code, message, hint, line, column, offset, length, charged, hospitals}. */
export class Refusal extends Error {
  constructor(status, body) {
    super(body.message);
    Object.assign(this, { hint: '', line: 0, offset: 0, length: 0, charged: false, hospitals: [] }, body, { status });
  }
}

async function send(method, path, { body, accept = 'application/json', signal } = {}) {
  let response;
  try {
    response = await fetch(path, {
      method, signal, cache: 'no-store', credentials: token.get() ? 'omit' : 'same-origin', redirect: 'error',
      headers: { ...(token.get() ? { Authorization: `Bearer ${token.get()}` } : {}), Accept: accept, ...(body ? { 'Content-Type': 'application/json' } : {}) },
      body: body ? JSON.stringify(body) : undefined,
    });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Refusal(0, { code: 'UNREACHABLE', message: 'the coordinator cannot be reached' });
  }
  if (response.ok) return response;
  let failure = null;
  try { failure = (await response.json()).error; } catch { /* the body is not the API's */ }
  throw new Refusal(response.status, failure || { code: 'INTERNAL', message: `the server answered ${response.status}` });
}

const get = async (path) => (await send('GET', path)).json();
const inStudy = (path, study) => get(`${path}?study=${encodeURIComponent(study)}`);

/** signIn returns the providers, {name, title, address}, and whether this browser is signed in at one. */
export const signIn = () => get('/signin');

/** signOut deletes the token and this site's cookie. The provider's own session remains. */
export async function signOut() {
  const local = token.get();
  token.clear();
  if (!local) await send('DELETE', '/signin');
}

export const me = () => get('/v1/me');
export const catalog = () => get('/v1/catalog');
export const hospitals = () => get('/v1/hospitals');
export const permits = async (study) => (await inStudy('/v1/permits', study)).hospitals;
/** operation returns the state of the federation, for operators. */
export const operation = () => get('/v1/operation');
/** catalogFile returns the catalog in the form that synth and demo read. */
export const catalogFile = async () => (await send('GET', '/v1/catalog.yaml', { accept: 'application/yaml' })).blob();
export const budget = (study) => inStudy('/v1/budget', study);
export const spending = async (study) => (await inStudy('/v1/spending', study)).charges;
export const outline = async (body, signal) => (await send('POST', '/v1/outline', { body, signal })).json();
export const explain = async (body) => (await send('POST', '/v1/explain', { body })).json();
/** file returns a stored answer in another form. It costs nothing, and is refused if no answer is stored. */
export const file = async (body, accept) => (await send('POST', '/v1/query', { body: { ...body, stored_only: true }, accept })).blob();

/** query runs a question. It calls progress for each step of a hospital. */
export async function query(body, progress, signal) {
  const response = await send('POST', '/v1/query', { body, accept: 'application/x-ndjson', signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let answer = null;
  for (;;) {
    const { value, done } = await reader.read();
    rest += value || '';
    const lines = rest.split('\n');
    rest = done ? '' : lines.pop();
    for (const line of lines) {
      if (!line) continue;
      const event = JSON.parse(line);
      if (event.event === 'progress') progress(event.progress);
      else if (event.event === 'answer') answer = event.answer;
      else throw new Refusal(200, event.error);
    }
    if (done) break;
  }
  if (!answer) throw new Refusal(0, { code: 'UNREACHABLE', message: 'the answer broke off' });
  return answer;
}

/** Past holds the questions asked in this browser: texts and costs, never answers. */
export class Past {
  constructor(federation, researcher) {
    this.key = `intramuros.past.${federation}.${researcher}`;
  }

  all() {
    try { return JSON.parse(localStorage.getItem(this.key)) || []; } catch { return []; }
  }

  add(entry) {
    try { localStorage.setItem(this.key, JSON.stringify([entry, ...this.all()].slice(0, 200))); } catch { /* no room: the history loses this entry */ }
  }

  clear() { localStorage.removeItem(this.key); }
}
