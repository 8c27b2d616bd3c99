/** The style of the page. It has no external resource, and follows the system's light or dark. */
export const pageStyle = `
:root {
  color-scheme: light dark;
  --ground: #f5f6f8; --panel: #fff; --line: #e3e6eb; --ink: #14181f; --soft: #5d6675;
  --accent: #2563eb; --good: #15803d; --bad: #c0262d; --busy: #b45309;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #0e1116; --panel: #171b22; --line: #272d37; --ink: #e8ebf0; --soft: #97a1b0;
    --accent: #6ea0ff; --good: #4ade80; --bad: #ff7b72; --busy: #fbbf24;
  }
}
* { box-sizing: border-box; margin: 0; }
body {
  background: var(--ground); color: var(--ink); max-width: 62rem; margin: 0 auto;
  padding: max(1.25rem, env(safe-area-inset-top)) 1rem 2rem;
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  font-variant-numeric: tabular-nums; -webkit-text-size-adjust: 100%;
}
header { display: grid; grid-template-columns: 1fr auto; gap: .1rem 1rem; align-items: baseline; margin-bottom: 1.1rem; }
h1 { font-size: 1.3rem; letter-spacing: -.01em; display: flex; align-items: center; gap: .5rem; }
.mark { width: .7rem; height: .7rem; border-radius: .2rem; background: var(--accent); }
.kind { font-weight: 400; color: var(--soft); }
.about { grid-column: 1 / -1; color: var(--soft); overflow-wrap: anywhere; }
.live { color: var(--soft); font-size: .85rem; white-space: nowrap; }
.live::before { content: ""; display: inline-block; width: .5rem; height: .5rem; border-radius: 50%; background: var(--good); margin-right: .4rem; }
.live:empty { visibility: hidden; }
.lost .live { color: var(--bad); }
.lost .live::before { background: var(--bad); }
.lost main { opacity: .55; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem; }
.card, .panel { background: var(--panel); border: 1px solid var(--line); border-radius: .75rem; }
.card { padding: .8rem 1rem .75rem; }
.label { color: var(--soft); font-size: .82rem; }
.value { font-size: 1.7rem; font-weight: 600; line-height: 1.25; letter-spacing: -.02em; white-space: nowrap; }
.note { color: var(--soft); font-size: .82rem; }
.card.busy .value { color: var(--busy); }
.card.bad .value { color: var(--bad); }
.panel { margin-top: .75rem; padding: .85rem 1rem; }
h2 { font-size: .95rem; display: flex; justify-content: space-between; gap: 1rem; align-items: baseline; }
h2 span { font-weight: 400; color: var(--soft); font-size: .82rem; }
.history svg { display: block; width: 100%; height: 3.5rem; margin-top: .5rem; fill: var(--accent); border-bottom: 1px solid var(--line); }
ul { list-style: none; padding: 0; margin-top: .35rem; }
li { display: flex; gap: .25rem 1.25rem; justify-content: space-between; align-items: baseline; padding: .5rem 0; }
li + li { border-top: 1px solid var(--line); }
li:last-child { padding-bottom: 0; }
.what { min-width: 0; flex: 1 1 16rem; }
.name { overflow-wrap: anywhere; unicode-bidi: isolate; }
.name b { font-weight: 600; }
.more { color: var(--soft); font-size: .85rem; overflow-wrap: anywhere; unicode-bidi: isolate; }
li.bad .status { color: var(--bad); }
.figures { color: var(--soft); font-size: .85rem; display: flex; gap: 1.1rem; white-space: nowrap; text-align: right; }
.dot { display: inline-block; width: .55rem; height: .55rem; border-radius: 50%; background: var(--soft); margin-right: .5rem; }
.good .dot { background: var(--good); }
.bad .dot { background: var(--bad); }
.empty { color: var(--soft); margin-top: .35rem; }
footer { margin-top: 1rem; font-size: .85rem; }
a { color: var(--accent); }
@media (max-width: 34rem) {
  .cards { grid-template-columns: 1fr 1fr; gap: .5rem; }
  .card:last-child:nth-child(odd) { grid-column: 1 / -1; }
  .panel { margin-top: .5rem; }
  li { flex-wrap: wrap; }
  .figures { flex-basis: 100%; gap: .9rem; text-align: left; }
}
`;

/**
 * The script of the page: every two seconds it requests the page again and puts the new `main` in the place of the old one,
 * unless the page is hidden or a text in it is selected. The parser runs no scripts. It says when the server does not respond.
 */
export const pageScript = `
const every = 2000;
const live = document.getElementById('live');
const say = (text, lost) => { live.textContent = text; document.body.classList.toggle('lost', lost); };
const isSelected = () => { const chosen = getSelection(); return chosen !== null && !chosen.isCollapsed; };
let since;
async function update() {
  try {
    const response = await fetch('status', { headers: { accept: 'text/html' }, cache: 'no-store', signal: AbortSignal.timeout(10000) });
    if (!response.ok) throw new Error('status ' + response.status);
    const renewed = new DOMParser().parseFromString(await response.text(), 'text/html').querySelector('main');
    if (!renewed) throw new Error('no page');
    if (!isSelected()) document.querySelector('main').replaceWith(document.adoptNode(renewed));
    since = undefined;
    say('live', false);
  } catch {
    since ??= new Date();
    say('no connection since ' + since.toLocaleTimeString(), true);
  }
}
async function run() {
  for (;;) {
    await new Promise((done) => setTimeout(done, every));
    if (!document.hidden) await update();
  }
}
say('live', false);
document.addEventListener('visibilitychange', () => { if (!document.hidden) update(); });
run();
`;
