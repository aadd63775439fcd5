// Filters over the entries of this page. All of them are there already: nothing is fetched.
import { byId } from './dom.mjs';

const form = byId('filters'), rows = [...document.querySelectorAll('li.row')];

function show() {
  const text = byId('f-text').value.trim().toLowerCase(), claims = byId('f-claims').value, source = byId('f-source').value;
  let shown = 0;
  for (const row of rows) {
    const fits = (claims === '' || row.dataset.claims === claims) && (source === '' || row.dataset.source === source)
      && (text === '' || row.textContent.toLowerCase().includes(text));
    row.hidden = !fits;
    if (fits) shown++;
  }
  byId('f-said').textContent = shown === rows.length ? '' : `${shown} of ${rows.length} shown`;
  byId('f-none').hidden = shown > 0;
}

if (form) {
  form.hidden = false;
  form.addEventListener('input', show);
  form.addEventListener('submit', (event) => event.preventDefault());
  show(); // a browser that goes back keeps what was chosen
}
