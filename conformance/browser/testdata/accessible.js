// Lists what is wrong with a page for who cannot see it well, or has no mouse: (() => [...problems])().
(() => {
  const problems = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  const shown = (e) => e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });
  const name = (e) => `${e.tagName.toLowerCase()}${e.id ? `#${e.id}` : ''}${e.className && e.className.baseVal === undefined ? `.${String(e.className).replaceAll(' ', '.')}` : ''} "${(e.textContent ?? '').trim().slice(0, 40)}"`;
  const text = (e) => (e.getAttribute('aria-label') ?? (e.getAttribute('aria-labelledby') ?? '').split(' ').map((id) => document.getElementById(id)?.textContent ?? '').join(' ')).trim();

  if (!document.documentElement.lang) problems.push('the page has no language');
  if (!document.title.trim()) problems.push('the page has no title');
  if (all('h1').length !== 1) problems.push(`${all('h1').length} headings of the first level`);
  if (all('main').length !== 1) problems.push('not one main part');
  let level = 0;
  for (const h of all('h1, h2, h3, h4').filter(shown)) {
    if (Number(h.tagName[1]) > level + 1) problems.push(`a level is left out before ${name(h)}`);
    level = Number(h.tagName[1]);
  }
  const ids = all('[id]').map((e) => e.id);
  for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) !== i))) problems.push(`two elements are called ${id}`);
  for (const e of all('input, select, textarea').filter((e) => e.type !== 'hidden')) {
    if (!text(e) && !Array.from(e.labels ?? [], (l) => l.textContent.trim()).join('')) problems.push(`no label: ${name(e)}`);
  }
  for (const e of all('button, a[href], summary').filter(shown)) if (!text(e) && !e.textContent.trim()) problems.push(`no text: ${name(e)}`);
  for (const e of all('img:not([alt])')) problems.push(`no text for a picture: ${name(e)}`);
  for (const e of all('svg')) if (!e.closest('[aria-hidden=true]') && !text(e) && !e.querySelector('title')) problems.push(`no text for a drawing: ${name(e)}`);
  for (const e of all('th:not([scope])')) problems.push(`a head of nothing: ${name(e)}`);
  for (const e of all('[tabindex]')) if (Number(e.getAttribute('tabindex')) > 0) problems.push(`an order of its own: ${name(e)}`);
  for (const e of all('[aria-labelledby], [aria-describedby], [aria-controls]')) {
    for (const attribute of ['aria-labelledby', 'aria-describedby', 'aria-controls']) {
      for (const id of (e.getAttribute(attribute) ?? '').split(' ').filter(Boolean)) if (!document.getElementById(id)) problems.push(`${attribute} leads nowhere: ${name(e)}`);
    }
  }

  // Contrast, of every element that holds text itself (WCAG 2.2, 1.4.3).
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
  const behind = (e) => {
    const layers = [];
    for (let at = e; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, layer) => over(layer, under), matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18, 1] : [255, 255, 255, 1]);
  };
  const light = (c) => c.slice(0, 3).map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4)).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  for (const e of all('body *').filter((e) => shown(e) && !e.closest('svg, script, style') && !e.matches(':disabled') && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))) {
    const style = getComputedStyle(e), back = behind(e), front = over(rgba(style.color), back);
    const [a, b] = [light(front), light(back)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05), size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    if (ratio < least) problems.push(`contrast ${ratio.toFixed(2)}: ${name(e)}`);
  }

  // A flag that goes on in the next line is taken for two words.
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), range = document.createRange();
  for (let at; (at = texts.nextNode());) {
    if (!shown(at.parentElement) || at.parentElement.closest('svg, script, style, textarea')) continue;
    for (const { 0: flag, index } of at.data.matchAll(/--[a-z][a-z0-9-]*/g)) {
      range.setStart(at, index);
      range.setEnd(at, index + flag.length);
      if (new Set([...range.getClientRects()].map(({ top }) => Math.round(top))).size > 1) problems.push(`a broken flag: ${flag} in ${name(at.parentElement)}`);
    }
  }

  if (document.documentElement.scrollWidth > innerWidth) {
    const wide = all('body *').filter((e) => shown(e) && e.getBoundingClientRect().right > innerWidth + 1).map(name);
    problems.push(`wider than the window of ${innerWidth}: ${wide.slice(0, 3).join(', ')}`);
  }
  if (matchMedia('(prefers-reduced-motion: reduce)').matches) {
    const moves = all('*').filter((e) => { const s = getComputedStyle(e); return s.animationName !== 'none' || s.transitionDuration.split(', ').some((d) => parseFloat(d) > 0); });
    for (const e of moves.slice(0, 3)) problems.push(`it moves: ${name(e)}`);
  }
  return [...new Set(problems)];
})()
