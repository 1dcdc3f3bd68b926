// The debug panel, loaded on demand: what the tag saw, kept, sent and was answered, and why a conversion would not be attributed.
// It lives in a shadow root with a constructed style sheet, so neither the page's styles nor its Content-Security-Policy touch it.
import { diagnose } from './diagnose.js';

const box = import.meta.url.replace(/\/libs\/.*/, '');
const CSS = `
  :host { all: initial; position: fixed; z-index: 2147483647; right: 8px; bottom: 8px; width: min(480px, 95vw); max-height: 70vh;
    overflow: auto; font: 13px/1.45 system-ui, sans-serif; color: #1a1a1a; background: #fff; border: 1px solid #767676; border-radius: 6px;
    box-shadow: 0 2px 12px #0004 }
  header { display: flex; justify-content: space-between; align-items: center; padding: 6px 10px; background: #f3f3f3; font-weight: 600 }
  section { padding: 6px 10px; border-top: 1px solid #ddd }
  h2 { font-size: 13px; margin: 0 0 2px } p { margin: 2px 0 } .bad { color: #a40000 } .good { color: #0a6b1e }
  pre { margin: 2px 0; white-space: pre-wrap; overflow-wrap: anywhere; font: 12px/1.4 ui-monospace, monospace }
  button { font: inherit; padding: 2px 10px }
`;

const element = (name, text, kind) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
};

const stored = () => {
  try {
    return Object.fromEntries(Object.entries(localStorage).filter(([key]) => key.startsWith('mtag.')));
  } catch {
    return null;
  }
};

const cookie = () => {
  try {
    return /(?:^|; )mtag=([^;]+)/.exec(document.cookie)?.[1];
  } catch {
    return null;
  }
};

const config = fetch(box + '/v1/config').then((response) => response.json(), () => null);

const facts = async () => {
  return {
    box,
    config: await config,
    origin: self.origin,
    landing: performance.getEntriesByType('navigation')[0]?.name || location.href,
    cookie: cookie(),
    stored: stored(),
    privacySignal: !!navigator.globalPrivacyControl,
    tcf: !!window.__tcfapi,
    log: [...(window.mtag?.log || [])],
  };
};

const section = (title, ...lines) => {
  const made = element('section');
  made.append(element('h2', title), ...lines);
  return made;
};

class Panel {
  constructor() {
    this.host = document.createElement('mtag-panel');
    this.host.setAttribute('role', 'region');
    this.host.setAttribute('aria-label', 'mtag debug panel');
    this.root = this.host.attachShadow({ mode: 'open' });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
    this.root.adoptedStyleSheets = [sheet];
    document.documentElement.append(this.host);
    this.draw();
    this.timer = setInterval(() => this.draw(), 1000);
  }

  async draw() {
    const now = await facts();
    const shown = JSON.stringify(now);
    if (shown === this.shown) return;
    this.shown = shown;
    const close = element('button', 'Close');
    close.onclick = () => {
      clearInterval(this.timer);
      this.host.remove();
    };
    const head = element('header', 'mtag');
    head.append(close);
    const findings = diagnose(now).map(({ good, text }) => element('p', (good ? '✓ ' : '✗ ') + text, good ? 'good' : 'bad'));
    const traffic = now.log
      .filter(([path]) => path.includes('/beacon/'))
      .map(([path, body, status, answer]) => element('pre', `${path}\n→ ${body}\n← ${status || 'no answer'} ${JSON.stringify(answer) || ''}`));
    const kept = Object.entries(now.stored || {}).map(([key, text]) => element('pre', `${key} = ${text}`));
    if (now.cookie) kept.unshift(element('pre', `cookie mtag = ${now.cookie}`));
    this.root.replaceChildren(
      head,
      section('Findings', ...findings),
      section('Sent and answered', ...(traffic.length ? traffic : [element('p', 'Nothing yet on this page.')])),
      section('Kept in this browser', ...(kept.length ? kept : [element('p', 'Nothing.')])),
      section('Box', element('pre', `${now.box}\n${now.config ? JSON.stringify(now.config, null, 1) : 'no config'}`)),
    );
  }
}

if (!document.querySelector('mtag-panel')) new Panel();
