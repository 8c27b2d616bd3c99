import { pageScript, pageStyle } from './page-parts.ts';
import { bytesText, counted, numberText, secondsText } from './printable.ts';
import type { SiteStatus, UpstreamTraffic } from './site.ts';

/** HTML, made by `html` only, so that whatever else is put into it is escaped. */
class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

type Inserted = string | number | Markup | readonly Markup[] | undefined;

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

const insertedText = (value: Inserted): string => {
  if (value === undefined) return '';
  if (value instanceof Markup) return value.text;
  if (typeof value === 'object') return value.map(({ text }) => text).join('');
  return String(value).replace(/[&<>"']/g, (character) => escapes[character] ?? '');
};

const html = (strings: TemplateStringsArray, ...values: readonly Inserted[]): Markup =>
  new Markup(strings.map((text, at) => text + insertedText(values[at])).join(''));

const trusted = (text: string): Markup => new Markup(text);

/** The page of a server, complete without its script, which only renews `main`. */
export function statusPage(status: SiteStatus): string {
  const { kind, about } = status;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<noscript><meta http-equiv="refresh" content="10"></noscript>
<title>ocifetch ${kind}</title>
<link rel="icon" href="${icon}">
<style>${trusted(pageStyle)}</style>
</head>
<body>
<header>
<h1><span class="mark" aria-hidden="true"></span>ocifetch <span class="kind">${kind}</span></h1>
<p class="live" role="status" id="live"></p>
<p class="about">${about}</p>
</header>
${mainOf(status)}
<footer><a href="status">status as JSON</a></footer>
<script>${trusted(pageScript)}</script>
</body>
</html>
`.text;
}

const icon =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='4' fill='%232563eb'/%3E%3Cpath d='M8 3v7M5 7.5 8 10.5l3-3M4 13h8' stroke='white' stroke-width='1.6' fill='none' stroke-linecap='round' stroke-linejoin='round'/%3E%3C/svg%3E";

const mainOf = (status: SiteStatus): Markup => html`<main>
<section class="cards" aria-label="Summary">${cardsOf(status)}</section>
${historyOf(status)}
${activeOf(status)}
${status.facts?.upstreams && upstreamsOf(status, status.facts.upstreams)}
${repositoriesOf(status)}
${errorsOf(status)}
</main>`;

const card = (label: string, value: string, note: string, kind = ''): Markup =>
  html`<div class="card ${kind}"><p class="label">${label}</p><p class="value">${value}</p><p class="note">${note}</p></div>`;

function cardsOf({ traffic, facts, time, repositories }: SiteStatus): readonly Markup[] {
  const { requests, active, failed, sent, pushed, started } = traffic;
  const first = facts?.cards ?? [
    {
      label: 'Repositories',
      value: numberText(repositories?.total ?? traffic.repositories.length),
      note: 'stored here',
    },
    { label: 'Sent', value: bytesText(sent), note: `in ${secondsText((time - started) / 1000)}` },
    { label: 'Pushed', value: bytesText(pushed), note: 'new content' },
  ];
  const busy = active > 0 ? 'busy' : '';
  return [
    ...first.map(({ label, value, note }) => card(label, value, note)),
    card('Active', numberText(active), active === 1 ? 'request under way' : 'requests under way', busy),
    card('Errors', numberText(failed), `of ${counted(requests, 'request')}`, failed > 0 ? 'bad' : ''),
  ];
}

/** Bytes sent in the last minutes, as columns. */
function historyOf({ traffic: { history } }: SiteStatus): Markup {
  const { seconds, bytes, requests } = history;
  const most = Math.max(...bytes, 1);
  const busiest = Math.max(...requests, 1);
  const minutes = Math.round((bytes.length * seconds) / 60);
  const columns = bytes.map((sent, at) => {
    const count = requests[at] ?? 0;
    // A request without a body shows as well.
    const height = count === 0 ? 0 : Math.max(1.5, (sent / most) * 34, (count / busiest) * 6);
    return height === 0
      ? html``
      : html`<rect x="${at * 5}" y="${(36 - height).toFixed(1)}" width="4" height="${height.toFixed(1)}" rx="1"/>`;
  });
  const label = `Bytes sent in the last ${minutes} minutes, at most ${bytesText(most / seconds)} per second`;
  return html`<section class="panel history"><h2>Last ${minutes} minutes <span>up to ${bytesText(Math.max(...bytes) / seconds)}/s</span></h2>
<svg viewBox="0 0 ${bytes.length * 5} 36" preserveAspectRatio="none" role="img" aria-label="${label}">${columns}</svg></section>`;
}

const section = (title: string, count: string, rows: readonly Markup[], empty: string): Markup =>
  html`<section class="panel"><h2>${title} <span>${count}</span></h2>${
    rows.length === 0 ? html`<p class="empty">${empty}</p>` : html`<ul>${rows}</ul>`
  }</section>`;

/** A row: a name, what it is, and numbers at its end. */
const row = (name: Markup, about: string, figures: readonly string[], kind = ''): Markup =>
  html`<li class="${kind}"><div class="what"><p class="name">${name}</p>${about === '' ? undefined : html`<p class="more">${about}</p>`}</div><p class="figures">${figures.map((figure) => html`<span>${figure}</span>`)}</p></li>`;

/** A path with the part of each digest that people recognize. */
const shortened = (path: string): string => path.replace(/(sha\d{3}:[\da-f]{12})[\da-f]+/g, '$1…');

const ago = (time: number, then: number): string => `${secondsText((time - then) / 1000)} ago`;

function activeOf({ traffic: { active, oldest }, facts, time }: SiteStatus): Markup {
  const downloads = (facts?.downloads ?? []).slice(0, mostActive).map(({ name, bytes, size, since }) => {
    const part =
      size > 0 ? `${Math.min(100, Math.floor((bytes / size) * 100))} % of ${bytesText(size)}` : bytesText(bytes);
    return row(html`<b>from upstream</b> ${shortened(name)}`, '', [part, secondsText((time - since) / 1000)], 'busy');
  });
  const rows = oldest.map(({ method, path, userAgent, address, since }) => {
    const about = [address, userAgent].filter(Boolean).join(' · ');
    return row(html`<b>${method}</b> ${shortened(path)}`, about, [secondsText((time - since) / 1000)], 'busy');
  });
  const count = active > rows.length ? `${rows.length} of ${numberText(active)}` : '';
  return section('Under way', count, [...downloads, ...rows], 'Nothing at the moment.');
}

/** Most downloads on the page. */
const mostActive = 20;

function upstreamsOf({ time }: SiteStatus, upstreams: readonly UpstreamTraffic[]): Markup {
  const rows = upstreams.map(({ name, figures, problem, last }) => {
    const state = problem ?? (last === undefined ? 'not contacted yet' : `responded ${ago(time, last)}`);
    const kind = problem === undefined ? (last === undefined ? '' : 'good') : 'bad';
    return row(html`<i class="dot" aria-hidden="true"></i>${name}`, state, figures, kind);
  });
  return section('Upstreams', '', rows, 'None.');
}

function repositoriesOf({ repositories, traffic, time }: SiteStatus): Markup {
  const used = new Map(traffic.repositories.map((one) => [one.name, one]));
  const others = (repositories?.names ?? []).filter((name) => !used.has(name));
  const total = Math.max(repositories?.total ?? 0, used.size);
  const rows = [...used.keys(), ...others].slice(0, mostRows).map((name) => {
    const found = used.get(name);
    if (!found) return row(html`${name}`, '', ['not requested yet']);
    return row(html`${name}`, '', [counted(found.requests, 'request'), bytesText(found.bytes), ago(time, found.last)]);
  });
  const count = total > rows.length ? `${rows.length} of ${numberText(total)}` : numberText(total);
  return section('Repositories', count, rows, 'None yet.');
}

/** Most repositories on the page. */
const mostRows = 100;

function errorsOf({ traffic: { errors }, time }: SiteStatus): Markup {
  const rows = errors.slice(0, 20).map(({ method, path, status, found, userAgent, count, last }) => {
    const about = [found, userAgent].filter(Boolean).join(' · ');
    const times = count === 1 ? [] : [`${numberText(count)} times`];
    return row(
      html`<b class="status">${status}</b> ${method} ${shortened(path)}`,
      about,
      [...times, ago(time, last)],
      'bad',
    );
  });
  return section('Last errors', '', rows, 'None.');
}
