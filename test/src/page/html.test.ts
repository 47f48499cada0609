import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { html } from '../../../src/page/html.ts';

describe('html', () => {
	for (const [value, text] of [
		['<script>', '&lt;script&gt;'],
		['" onload="x', '&quot; onload=&quot;x'],
		["'&", '&#39;&amp;'],
		[7, '7'],
		[undefined, ''],
	] as const) {
		test(`writes ${String(value)} as ${text}`, () =>
			assert.equal(html`<p title="${value}">${value}</p>`.text, `<p title="${text}">${text}</p>`));
	}
	test('joins lists, and does not escape what is HTML already', () => assert.equal(html`${[html`<b>1</b>`, '<']}`.text, '<b>1</b>&lt;'));
});
