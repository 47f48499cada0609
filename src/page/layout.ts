import { createHash } from 'node:crypto';
import { html, Html } from './html.ts';

const STYLE = `
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #59636e; --line: #d5dae0; --ground: #fff; --panel: #f4f6f8; --accent: #0b5cad; --good: #176f3d; --bad: #a4261d; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ebef; --soft: #9aa5b1; --line: #343b44; --ground: #14171b; --panel: #1e2329; --accent: #7db8f5; --good: #6fcf97; --bad: #ff8f85; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 52rem; padding: 2.5rem 1.25rem 4rem; background: var(--ground); color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: break-word; }
header { margin-bottom: 2rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .4rem; letter-spacing: -.01em; }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
h3 { font-size: .8rem; margin: 0; color: var(--soft); font-weight: 600; text-transform: uppercase; letter-spacing: .05em; }
p { margin: .5rem 0; }
a { color: var(--accent); text-underline-offset: .15em; }
.soft { color: var(--soft); }
.facts { color: var(--soft); display: flex; flex-wrap: wrap; gap: .1rem 1.2rem; padding: 0; margin: .3rem 0 0; list-style: none; }
code, pre { font: .87rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
.copy div { display: flex; justify-content: space-between; align-items: end; margin: 1.1rem 0 .3rem; min-height: 1.6rem; }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem; margin: 0; overflow-x: auto; }
.copy button { font: .75rem/1 inherit; padding: .4rem .6rem; border: 1px solid var(--line); border-radius: .35rem; background: var(--ground); color: var(--ink); cursor: pointer; }
.table { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-size: .8rem; color: var(--soft); font-weight: 600; }
th, td { padding: .45rem 1.2rem .45rem 0; border-bottom: 1px solid var(--line); vertical-align: baseline; white-space: nowrap; }
td.services { white-space: normal; }
.badge { font-size: .75rem; color: var(--good); border: 1px solid currentColor; border-radius: 1rem; padding: .05rem .5rem; margin-left: .4rem; }
form { display: flex; flex-wrap: wrap; gap: .6rem; align-items: end; }
label { flex: 1 1 18rem; font-size: .85rem; color: var(--soft); }
input { display: block; width: 100%; margin-top: .25rem; font: inherit; padding: .55rem .7rem; border: 1px solid var(--line); border-radius: .45rem; background: var(--ground); color: var(--ink); }
form button { font: inherit; padding: .55rem 1.1rem; border: 1px solid transparent; border-radius: .45rem; background: var(--accent); color: var(--ground); cursor: pointer; }
.answer { border-left: .25rem solid var(--line); padding: .2rem 0 .2rem .9rem; margin: 1.2rem 0; }
.answer.good { border-color: var(--good); }
.answer.bad { border-color: var(--bad); }
:focus-visible { outline: .15rem solid var(--accent); outline-offset: .12rem; }
footer { margin-top: 3rem; font-size: .85rem; color: var(--soft); }
`;

/** Puts a button on each block that can be copied. Without it the page lacks nothing else. */
const SCRIPT = `
for (const block of document.querySelectorAll('.copy')) {
	const button = document.createElement('button');
	button.type = 'button';
	button.textContent = 'Copy';
	button.addEventListener('click', async () => {
		await navigator.clipboard.writeText(block.querySelector('pre').textContent);
		button.textContent = 'Copied';
		setTimeout(() => { button.textContent = 'Copy'; }, 1500);
	});
	if (navigator.clipboard) block.firstElementChild.append(button);
}
`;

const hashOf = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** Nothing is loaded from anywhere; the page's own style and script are known by their hashes: CSP level 3. */
export const CONTENT_SECURITY_POLICY = `default-src 'none'; style-src ${hashOf(STYLE)}; script-src ${hashOf(SCRIPT)}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`;

/** @returns a whole document around the content of a page */
export function layout(title: string, content: Html): string {
	return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
${content}
<script>${new Html(SCRIPT)}</script>
</body>
</html>
`.text;
}

/** @returns a block of lines to copy, under a heading of its own */
export function copyBlock(heading: string, lines: string): Html {
	return html`<div class="copy"><div><h3>${heading}</h3></div><pre tabindex="0">${lines}</pre></div>`;
}
