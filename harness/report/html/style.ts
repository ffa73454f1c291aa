/**
 * How the page looks, on paper and on a telephone too. Colours are those of the status, each with a sign and a word beside
 * it; text on them has a contrast of 4.5 at least, in the light and in the dark.
 */
export const style = `
:root { color-scheme: light dark;
  --ground: #ffffff; --raised: #f6f8fa; --line: #d0d7de; --text: #1f2328; --quiet: #57606a; --link: #0550ae;
  --pass: #116329; --warn: #7d4e00; --fail: #b3121f; --skip: #57606a; --error: #7a2cc4;
  --mark: #ffe3e3; --c0: #0550ae; --c1: #8a3ffc; --c2: #00695c; --c3: #9a3412; --c4: #9d174d; --c5: #3f3f46 }
@media (prefers-color-scheme: dark) { :root {
  --ground: #0d1117; --raised: #161b22; --line: #30363d; --text: #e6edf3; --quiet: #9aa4af; --link: #79b8ff;
  --pass: #56d364; --warn: #e3b341; --fail: #ff8f88; --skip: #9aa4af; --error: #d2a8ff;
  --mark: #5a1e22; --c0: #79b8ff; --c1: #d2a8ff; --c2: #5eead4; --c3: #fdba74; --c4: #f9a8d4; --c5: #d4d4d8 } }
* { box-sizing: border-box }
html { scroll-padding-top: 1rem }
body { margin: 0 auto; max-width: 72rem; padding: 1rem 1rem 6rem; background: var(--ground); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .5rem 0 }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem }
h3 { font-size: 1rem; margin: 1rem 0 .25rem }
a { color: var(--link) }
code, pre, .mono { font: 13px/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace }
.skip { position: absolute; left: -99rem } .skip:focus { left: 1rem; top: .5rem; background: var(--ground); padding: .5rem }
.quiet { color: var(--quiet) }
.pass { color: var(--pass) } .warn { color: var(--warn) } .fail { color: var(--fail) }
.skipped { color: var(--skip) } .error { color: var(--error) }
.notice { border-left: 4px solid var(--fail); padding: .25rem .75rem; background: var(--raised) }
dl.facts { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: 0 }
dl.facts dt { color: var(--quiet) } dl.facts dd { margin: 0 }
.scroll { overflow-x: auto }
table { border-collapse: collapse } th, td { text-align: left; padding: .2rem .75rem .2rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums }
.counts { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: 0; margin: .5rem 0; list-style: none; font-weight: 600 }
.map { display: flex; flex-wrap: wrap; gap: .25rem; padding: 0; margin: .25rem 0 .75rem; list-style: none }
.map a { display: inline-block; padding: .1rem .4rem; border: 1px solid var(--line); border-radius: 3px; font-size: 13px; text-decoration: none; color: inherit }
.map li.fail a { border-color: currentColor; font-weight: 700 }
form.filter { position: sticky; top: 0; z-index: 1; display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center;
  background: var(--ground); border-bottom: 1px solid var(--line); padding: .5rem 0 }
form.filter fieldset { border: 0; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem .75rem }
form.filter legend { float: left; padding: 0; margin-right: .75rem; color: var(--quiet) }
input[type=search] { font: inherit; padding: .25rem .5rem; min-width: 14rem; max-width: 100%; color: inherit; background: var(--raised); border: 1px solid var(--quiet); border-radius: 4px }
select, button { font: inherit; color: inherit; background: var(--raised); border: 1px solid var(--quiet); border-radius: 4px; padding: .2rem .5rem }
.cases { padding: 0; margin: 0; list-style: none }
.case { border-bottom: 1px solid var(--line); scroll-margin-top: 6.5rem }
.case > details > summary, .case > p { cursor: pointer; padding: .35rem 0; margin: 0 }
.case > p { cursor: default }
.case:target, .case.at { background: var(--raised); box-shadow: -4px 0 0 var(--link) }
.status { display: inline-block; min-width: 4.5rem; font-weight: 700 }
.body { padding: .25rem 0 1.25rem 1rem; border-left: 2px solid var(--line); margin-left: .35rem }
.beside { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem } .beside ul { margin: 0; padding-left: 1.1rem }
.command { display: flex; gap: .5rem; align-items: start } .command pre { flex: 1 }
pre { white-space: pre-wrap; background: var(--raised); padding: .5rem; margin: 0; border-radius: 4px }
mark, td.marked { background: var(--mark); color: inherit; padding: 0 .15rem; border-bottom: 2px solid var(--fail) }
ol.steps { padding-left: 2rem; margin: .5rem 0 } ol.steps li { margin: .2rem 0 }
ol.steps table { margin: .1rem 0 .4rem } ol.steps td { border: 0; padding: 0 .75rem 0 0 }
svg { max-width: 100%; height: auto; display: block; margin: .5rem 0 } svg text { fill: var(--text); font: 12px ui-monospace, Menlo, Consolas, monospace }
svg .lane { stroke: var(--line); stroke-width: 2 } svg .head { font-weight: 700 } svg .gap { fill: var(--quiet); font-size: 11px } svg .late { fill: var(--fail); font-weight: 700 }
svg .arrow { stroke-width: 1.5; fill: none } svg .sealed { stroke-dasharray: 6 3 } svg .decisive { stroke-width: 3 } svg .note { fill: var(--quiet); font-style: italic }
svg .c0 { stroke: var(--c0) } svg .c1 { stroke: var(--c1) } svg .c2 { stroke: var(--c2) } svg .c3 { stroke: var(--c3) } svg .c4 { stroke: var(--c4) } svg .c5 { stroke: var(--c5) }
svg .tag0 { fill: var(--c0) } svg .tag1 { fill: var(--c1) } svg .tag2 { fill: var(--c2) } svg .tag3 { fill: var(--c3) } svg .tag4 { fill: var(--c4) } svg .tag5 { fill: var(--c5) }
svg .tip { stroke: none } svg .cut { stroke: var(--fail); stroke-width: 2 }
meter { width: 10rem; max-width: 40vw }
.wide { max-width: none } .said { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
[hidden] { display: none !important }
:focus-visible { outline: 3px solid var(--link); outline-offset: 1px }
@media (max-width: 40rem) { .beside { grid-template-columns: 1fr } dl.facts { grid-template-columns: 1fr } dl.facts dd { margin-bottom: .3rem } form.filter { position: static } body { font-size: 16px } }
@media print { form.filter, .skip, .command button { display: none } body { max-width: none; padding: 0; font-size: 11px } .case { break-inside: avoid-page } a { color: inherit; text-decoration: none } }
`;
