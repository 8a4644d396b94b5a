// The editor is a plain text area over a coloured copy of its text. Screen readers, input methods and
// the browser's undo work with the area. The copy is only seen.

import { h, say } from './dom.js';
import { t } from './language.js';
import { complete, tokens, unitAt } from './sql.js';

export class Editor {
  /** tables are the catalog's. The editor calls changed after an edit, and run when the reader starts the query. */
  constructor({ tables, changed, run }) {
    this.tables = tables;
    this.changed = changed;
    this.run = run;
    this.options = [];
    this.active = -1;
    this.moved = false; // the reader has moved among the options
    this.copy = h('pre', { class: 'editor-copy', 'aria-hidden': 'true' });
    this.lines = h('div', { class: 'editor-lines', 'aria-hidden': 'true' });
    this.area = h('textarea', {
      id: 'sql', class: 'editor-area', spellcheck: 'false', autocomplete: 'off', autocapitalize: 'off', autocorrect: 'off', 'aria-label': t('ask.editor'),
      'aria-autocomplete': 'list', 'aria-haspopup': 'listbox', 'aria-describedby': 'sql-keys sql-error', maxlength: 262144, rows: 1,
      oninput: () => this.typed(), onkeydown: (e) => this.key(e), onblur: () => setTimeout(() => this.close(), 150), onclick: () => this.close(), onscroll: () => this.close(),
    });
    this.list = h('ul', { id: 'options', class: 'options hidden', role: 'listbox', 'aria-label': t('ask.options') });
    this.pop = h('div', { class: 'under hidden', 'aria-hidden': 'true' });
    this.body = h('div', { class: 'editor-body' }, this.copy, this.area, this.pop);
    this.element = h('div', { class: 'editor' }, h('div', { class: 'editor-scroll' }, this.lines, this.body), this.list);
    this.paint();
  }

  get text() { return this.area.value; }

  set text(value) {
    this.area.value = value;
    this.fault = null;
    this.paint();
  }

  typed() {
    this.fault = null;
    this.paint();
    this.suggest(false);
    this.changed(this.text);
  }

  /** mark shows an error of the API under its token. null removes it. */
  mark(error) {
    this.fault = null;
    if (error && error.line > 0) {
      const begin = unitAt(this.text, error.offset);
      const end = unitAt(this.text, error.offset + error.length);
      this.fault = { begin, end, message: error.message, code: error.code };
    }
    this.area.setAttribute('aria-invalid', this.fault ? 'true' : 'false');
    this.paint();
  }

  paint() {
    const text = this.text;
    const fault = this.fault;
    const parts = [];
    const put = (kind, piece, bad) => parts.push(h('span', { class: `t-${kind}${bad ? ' t-fault' : ''}` }, piece));
    for (const token of tokens(text)) {
      const end = token.at + token.text.length;
      if (!fault || end <= fault.begin || token.at >= fault.end) { put(token.kind, token.text); continue; }
      const a = Math.max(0, fault.begin - token.at);
      const b = Math.min(token.text.length, fault.end - token.at);
      if (a > 0) put(token.kind, token.text.slice(0, a));
      put(token.kind, token.text.slice(a, b), true);
      if (b < token.text.length) put(token.kind, token.text.slice(b));
    }
    if (fault && fault.begin >= text.length) put('space', ' ', true); // the fault is at the end of the text
    parts.push('\n');
    this.copy.replaceChildren(...parts);
    const count = text.split('\n').length;
    this.lines.replaceChildren(...Array.from({ length: count }, (_, i) => h('span', {}, i + 1)));
    this.under();
  }

  /** under puts the message of an error below its token. */
  under() {
    this.pop.classList.toggle('hidden', !this.fault);
    if (!this.fault) return;
    const marked = this.copy.querySelector('.t-fault');
    if (!marked) return;
    this.pop.replaceChildren(h('strong', {}, this.fault.code), ' ', this.fault.message);
    const box = this.body.getBoundingClientRect();
    const at = marked.getBoundingClientRect();
    const left = Math.max(8, Math.min(at.left - box.left, box.width - this.pop.offsetWidth - 8));
    this.pop.style.setProperty('left', `${left}px`);
    this.pop.style.setProperty('top', `${at.bottom - box.top + 7}px`);
    this.pop.style.setProperty('--tip', `${Math.max(8, at.left - box.left - left + Math.min(12, at.width / 2))}px`);
  }

  key(e) {
    const open = !this.list.classList.contains('hidden');
    if ((e.ctrlKey || e.metaKey) && e.key === 'Enter') {
      e.preventDefault();
      this.close();
      this.run();
    } else if ((e.ctrlKey || e.metaKey) && e.key === ' ') {
      e.preventDefault();
      this.suggest(true);
    } else if (open && (e.key === 'ArrowDown' || e.key === 'ArrowUp')) {
      e.preventDefault();
      const step = e.key === 'ArrowDown' ? 1 : -1;
      this.active = (this.active + step + this.options.length) % this.options.length;
      this.moved = true;
      this.show();
    } else if (open && (e.key === 'Tab' && !e.shiftKey || e.key === 'Enter' && this.moved)) {
      e.preventDefault();
      this.take(this.options[this.active]);
    } else if (e.key === 'Escape' && open) {
      e.preventDefault();
      e.stopPropagation();
      this.close();
    } else if (e.key === 'Escape' && this.fault) {
      this.pop.classList.add('hidden');
    } else if (open && /^(ArrowLeft|ArrowRight|Home|End|PageUp|PageDown)$/.test(e.key)) this.close();
  }

  suggest(asked) {
    const at = this.area.selectionStart;
    if (at !== this.area.selectionEnd) return this.close();
    const { from, options } = complete(this.text, at, this.tables());
    const typed = this.text.slice(from, at);
    const whole = options.length > 0 && options.some((o) => o.text.toLowerCase() === typed.toLowerCase());
    if (!options.length || !asked && (whole || typed.length < 2 && this.text[at - 1] !== '.')) return this.close();
    Object.assign(this, { from, options, active: 0, moved: asked });
    this.show();
    say(t('ask.offered', { n: options.length }));
    return undefined;
  }

  show() {
    this.list.replaceChildren(...this.options.map((o, i) => h('li', {
      id: `option-${i}`, role: 'option', 'aria-selected': String(i === this.active), class: i === this.active ? 'active' : '',
      onmousedown: (e) => { e.preventDefault(); this.take(o); },
    }, h('span', { class: `what what-${o.kind}`, 'aria-hidden': 'true' }, o.kind === 'keyword' ? 'sql' : o.kind === 'function' ? 'ƒ' : o.kind === 'table' ? '▦' : '▪'),
    h('span', { class: 'mono' }, o.text.replace(/\($/, '')), h('span', { class: 'detail' }, o.detail || ''))));
    this.list.classList.remove('hidden');
    this.area.setAttribute('aria-controls', 'options');
    this.area.setAttribute('aria-activedescendant', `option-${this.active}`);
    const at = this.placeOf(this.from);
    const box = this.element.getBoundingClientRect();
    this.list.style.setProperty('left', `${Math.max(0, Math.min(at.left - box.left, box.width - this.list.offsetWidth))}px`);
    this.list.style.setProperty('top', `${at.bottom - box.top + 4}px`);
    this.list.children[this.active].scrollIntoView({ block: 'nearest' });
  }

  close() {
    this.list.classList.add('hidden');
    this.area.removeAttribute('aria-activedescendant');
    this.area.removeAttribute('aria-controls');
  }

  take(option) {
    this.close();
    this.insert(option.text, this.from, this.area.selectionStart);
  }

  /** insert replaces a range of the text, as if the reader had typed it. */
  insert(text, from = this.area.selectionStart, to = this.area.selectionEnd) {
    this.area.focus();
    this.area.setSelectionRange(from, to);
    // Only this command keeps the browser's undo.
    if (!document.execCommand('insertText', false, text)) {
      this.area.setRangeText(text, from, to, 'end');
      this.typed();
    }
    this.close();
  }

  /** placeOf returns the rectangle of a character on the screen. */
  placeOf(offset) {
    const walk = document.createTreeWalker(this.copy, NodeFilter.SHOW_TEXT);
    let left = offset;
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
      if (left <= node.length) {
        const range = document.createRange();
        range.setStart(node, left);
        range.setEnd(node, left);
        const rect = range.getClientRects()[0];
        if (rect) return rect;
        return node.parentElement.getBoundingClientRect();
      }
      left -= node.length;
    }
    return this.copy.getBoundingClientRect();
  }
}
