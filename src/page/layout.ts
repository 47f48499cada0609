import { createHash } from 'node:crypto';
import { html, Html } from './html.ts';
import type { Snippet } from './snippets.ts';
import { STYLE } from './style.ts';

/** Puts a button on each block that can be copied. Without it the page lacks nothing else. */
const SCRIPT = `
for (const block of navigator.clipboard ? document.querySelectorAll('.copy') : []) {
	const heading = block.querySelector('h3').textContent;
	const button = document.createElement('button');
	const say = (text) => { button.textContent = text; button.setAttribute('aria-label', text + ': ' + heading); };
	button.type = 'button';
	say('Copy');
	button.addEventListener('click', async () => {
		const shown = [...block.querySelectorAll('pre')].find((pre) => pre.offsetParent !== null);
		try {
			await navigator.clipboard.writeText(shown.textContent.trimEnd());
			say('Copied');
		} catch {
			getSelection().selectAllChildren(shown);
			say('Selected');
		}
		setTimeout(say, 2000, 'Copy');
	});
	block.querySelector('header').append(button);
}
`;

const hashOf = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** Nothing is loaded from anywhere; the page's own style and script are known by their hashes: CSP level 3. */
export const CONTENT_SECURITY_POLICY = `default-src 'none'; style-src ${hashOf(STYLE)}; script-src ${hashOf(SCRIPT)}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`;

const LOGO = new Html(
	'<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linejoin="round" aria-hidden="true"><path d="M12 2.5 20.5 7v10L12 21.5 3.5 17V7z"/><path d="M3.5 7 12 11.5 20.5 7M12 11.5v10"/></svg>',
);

/**
 * @param host what the page calls this registry, with a link to its first page
 * @returns a whole document around the content of a page
 */
export function layout(host: string, title: string, content: Html): string {
	return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<nav class="site" aria-label="Site">${LOGO}<a href="/">${host}</a></nav>
${content}
<script>${new Html(SCRIPT)}</script>
</body>
</html>
`.text;
}

/**
 * @param snippet lines to copy, and what they are for
 * @param pinned the same with digests, which are shown instead where `#by-digest` is checked
 */
export function copyBlock({ heading, lines }: Snippet, pinned?: Snippet): Html {
	return html`<section class="copy"><header><h3>${heading}</h3></header>${block('name', lines)}${pinned === undefined ? undefined : block('digest', pinned.lines)}</section>
`;
}

/** Each line is an element that knows its indentation, so that what does not fit goes on behind it and not before. */
function block(className: string, lines: string[]): Html {
	return html`<pre class="${className}">${lines.map(
		(line) => html`<span class="in${line.search(/[^ ]|$/)}">${line}
</span>`,
	)}</pre>`;
}

/** @returns a sentence with a capital, unless it begins with a name */
export function sentence(text: string): string {
	return `${/^[a-z]+[ ,]/.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text}.`;
}
