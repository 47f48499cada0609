/** The style of all pages, for light and dark, from a phone's width on. */
export const STYLE = `
:root { color-scheme: light dark; --ink: #17202a; --soft: #566270; --line: #d8dee6; --edge: #7d8896; --ground: #fff; --panel: #f3f6f9; --accent: #0a6078; --good: #156c3b; --warn: #8a4b00; --bad: #a4261d; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaef; --soft: #9daab8; --line: #303943; --edge: #75828f; --ground: #12161b; --panel: #1b2128; --accent: #74cbe2; --good: #74d19c; --warn: #e8b267; --bad: #ff9288; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 54rem; padding: 0 1.25rem 4rem; background: var(--ground); color: var(--ink); font: 1rem/1.6 system-ui, sans-serif; overflow-wrap: anywhere; }
.site { display: flex; align-items: center; gap: .55rem; padding: 1.1rem 0; margin-bottom: 2.25rem; border-bottom: 1px solid var(--line); font-weight: 600; }
.site a { color: inherit; text-decoration: none; }
.site a:hover { text-decoration: underline; }
.site svg { width: 1.4rem; height: 1.4rem; flex: none; color: var(--accent); }
h1 { font-size: clamp(1.6rem, 1.3rem + 1.5vw, 2.1rem); line-height: 1.2; margin: 0 0 .5rem; letter-spacing: -.015em; text-wrap: balance; }
h2 { font-size: 1.25rem; line-height: 1.3; margin: 2.75rem 0 .5rem; letter-spacing: -.01em; }
h3 { font-size: .9rem; margin: 0; }
p { margin: .5rem 0; max-width: 42rem; text-wrap: pretty; }
a { color: var(--accent); text-underline-offset: .18em; text-decoration-thickness: .06em; }
.lead { font-size: 1.1rem; color: var(--soft); }
.soft { color: var(--soft); }
.details { display: flex; flex-wrap: wrap; gap: .1rem 1.25rem; padding: 0; margin: .6rem 0 0; list-style: none; font-size: .9rem; color: var(--soft); }
code, pre { font: .875em/1.6 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
.copy { margin: 1rem 0; border: 1px solid var(--line); border-radius: .6rem; overflow: hidden; }
.copy header { display: flex; justify-content: space-between; align-items: center; gap: 1rem; min-height: 2.5rem; padding: .3rem .4rem .3rem 1rem; background: var(--panel); border-bottom: 1px solid var(--line); }
pre { margin: 0; padding: .8rem 1rem; white-space: pre-wrap; }
pre.digest { word-break: break-all; }
pre span { display: block; padding-left: calc(var(--depth) + 2ch); text-indent: calc(-2ch - var(--depth)); }
.in0 { --depth: 0ch; } .in2 { --depth: 2ch; } .in4 { --depth: 4ch; } .in6 { --depth: 6ch; }
.copy button { font: inherit; font-size: .8rem; line-height: 1; padding: .5rem .75rem; border: 1px solid var(--edge); border-radius: .4rem; background: var(--ground); color: var(--ink); cursor: pointer; }
.copy button:hover { border-color: var(--accent); color: var(--accent); }
.choice { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; margin: 1rem 0; padding: 0; border: 0; }
.choice legend { float: left; margin-right: 1.5rem; padding: 0; font-weight: 600; }
.choice label { display: flex; align-items: center; gap: .5rem; cursor: pointer; }
.choice input { accent-color: var(--accent); width: 1.1rem; height: 1.1rem; margin: 0; }
@supports selector(:has(*)) { body:has(#by-digest:not(:checked)) .digest, body:has(#by-digest:checked) .name { display: none; } }
table { border-collapse: collapse; width: 100%; margin-top: .75rem; font-variant-numeric: tabular-nums; }
th { text-align: left; font-size: .85rem; color: var(--soft); font-weight: 600; white-space: nowrap; }
td, th { padding: .55rem 1.25rem .55rem 0; border-bottom: 1px solid var(--line); vertical-align: baseline; }
td:last-child, th:last-child { padding-right: 0; }
.releases td:not(.services) { white-space: nowrap; }
.badge { display: inline-block; font-size: .75rem; font-weight: 600; line-height: 1.4; color: var(--good); border: 1px solid currentColor; border-radius: 1rem; padding: .05rem .6rem; margin-left: .6rem; vertical-align: .12em; letter-spacing: 0; white-space: nowrap; }
.badge.warn { color: var(--warn); }
form { display: flex; flex-wrap: wrap; gap: .6rem; align-items: end; margin: 1rem 0; }
form label { flex: 1 1 17rem; font-weight: 600; }
form input { display: block; width: 100%; min-height: 2.9rem; margin-top: .35rem; font: 1rem/1.4 ui-monospace, "SF Mono", Menlo, Consolas, monospace; padding: .5rem .8rem; border: 1px solid var(--edge); border-radius: .5rem; background: var(--ground); color: var(--ink); }
form input::placeholder { color: var(--soft); opacity: 1; }
form button { min-height: 2.9rem; font: inherit; font-weight: 600; padding: .5rem 1.3rem; border: 1px solid transparent; border-radius: .5rem; background: var(--accent); color: var(--ground); cursor: pointer; }
form button:hover { filter: brightness(1.12); }
.answer { margin: 1.25rem 0; padding: .7rem 1rem; border: 1px solid var(--line); border-left: .3rem solid var(--good); border-radius: .6rem; }
.answer.bad { border-left-color: var(--bad); }
.answer > :first-child { margin-top: 0; }
.answer > :last-child { margin-bottom: 0; }
:focus-visible { outline: .18rem solid var(--accent); outline-offset: .15rem; }
@media (max-width: 40rem) {
	.site { margin-bottom: 1.5rem; }
	.choice legend { float: none; width: 100%; }
	table, tbody, tr, td { display: block; }
	thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
	tr { padding: .7rem 0; border-bottom: 1px solid var(--line); }
	td { padding: 0; border: 0; }
	.releases tr { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 .9rem; }
	.releases td { font-size: .9rem; color: var(--soft); }
	.releases td:first-child { flex: 1 0 100%; font-size: 1rem; color: var(--ink); }
}
@media print { .copy button, .choice, form { display: none; } }
`;
