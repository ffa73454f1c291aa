/**
 * What the page does: filter by status, chapter and text; open the case the address names; `/` to search, `j` and `k`
 * from failure to failure, `Escape` for all again. It reads nothing but the page, and without it everything is there too.
 */
export const script = `
(() => {
  'use strict';
  const cases = [...document.querySelectorAll('.case')];
  const form = document.querySelector('form.filter');
  const search = form.elements.namedItem('text');
  const chapter = form.elements.namedItem('chapter');
  const shown = document.getElementById('shown');
  const texts = new Map(cases.map((one) => [one, one.textContent.toLowerCase()]));
  const apply = () => {
    const states = new Set([...form.querySelectorAll('[name=status]:checked')].map((box) => box.value));
    const words = search.value.toLowerCase().split(/\\s+/).filter(Boolean);
    let count = 0;
    for (const one of cases) {
      const fits = states.has(one.dataset.status) && (chapter.value === '' || one.dataset.chapter === chapter.value) &&
        words.every((word) => texts.get(one).includes(word));
      one.hidden = !fits;
      if (fits) count++;
    }
    shown.textContent = count + ' of ' + cases.length + ' shown';
  };
  const all = () => {
    for (const box of form.querySelectorAll('[name=status]')) box.checked = true;
    search.value = ''; chapter.value = '';
    apply();
  };
  const open = (one) => {
    if (one.hidden) all();
    const details = one.querySelector('details');
    if (details) details.open = true;
    one.scrollIntoView({ block: 'start' });
    const summary = one.querySelector('summary') || one;
    summary.focus({ preventScroll: true });
    for (const other of cases) other.classList.toggle('at', other === one);
  };
  const follow = () => {
    let name;
    try { name = decodeURIComponent(location.hash.slice(1)); } catch { return; }
    const one = cases.find((candidate) => candidate.id === name);
    if (one) return open(one);
    const by = /^requirement=(.+)$/.exec(name);
    if (!by) return;
    all();
    search.value = by[1];
    apply();
    document.getElementById('results').scrollIntoView();
  };
  const step = (by) => {
    const reds = cases.filter((one) => !one.hidden && (one.dataset.status === 'fail' || one.dataset.status === 'error'));
    if (reds.length === 0) return;
    const at = reds.findIndex((one) => one.classList.contains('at'));
    const next = reds[at < 0 ? (by > 0 ? 0 : reds.length - 1) : (at + by + reds.length) % reds.length];
    history.replaceState(null, '', '#' + encodeURIComponent(next.id));
    open(next);
  };
  form.addEventListener('input', apply);
  form.addEventListener('submit', (event) => event.preventDefault());
  document.getElementById('all').addEventListener('click', all);
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'Escape') { all(); search.blur(); return; }
    if (event.target.matches('input[type=search], select')) return;
    if (event.key === '/') { event.preventDefault(); search.focus(); }
    if (event.key === 'j') step(1);
    if (event.key === 'k') step(-1);
  });
  document.addEventListener('click', (event) => {
    const button = event.target.closest('button[data-copy]');
    if (!button || !navigator.clipboard) return;
    const said = button.textContent;
    navigator.clipboard.writeText(button.parentElement.querySelector('pre').textContent)
      .then(() => { button.textContent = 'copied'; setTimeout(() => { button.textContent = said; }, 1500); }, () => undefined);
  });
  let closed = [];
  addEventListener('beforeprint', () => {
    closed = cases.flatMap((one) => (one.hidden || !/fail|error|warn/.test(one.dataset.status) ? [] : [...one.querySelectorAll(':scope > details:not([open])')]));
    for (const details of closed) details.open = true;
  });
  addEventListener('afterprint', () => { for (const details of closed) details.open = false; });
  addEventListener('hashchange', follow);
  apply();
  follow();
})();
`;
