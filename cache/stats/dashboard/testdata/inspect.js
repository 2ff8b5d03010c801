// What is wrong with a page as it is shown, in sentences; how many charts it has and how high it is.
(() => {
  const wrong = [], root = document.scrollingElement;
  const start = e => e.outerHTML.slice(0, 120);

  // Nothing is wider than the window.
  if (root.scrollWidth > root.clientWidth) {
    const wide = [...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > root.clientWidth + 0.5);
    wrong.push('it is ' + root.scrollWidth + ' wide: ' + wide.slice(0, 5).map(start).join(' | '));
  }

  // Contrast as in WCAG 2.2: colours are [red, green, blue, opacity].
  const parse = text => { const n = text.match(/[\d.]+/g).map(Number); return [n[0], n[1], n[2], n[3] ?? 1]; };
  const over = (a, b) => [0, 1, 2].map(i => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
  const ground = e => {
    const layers = [];
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      layers.push(c);
      if (c[3] === 1) break;
    }
    return layers.reverse().reduce((below, c) => over(c, below), [255, 255, 255, 1]);
  };
  const light = c => {
    const [r, g, b] = c.slice(0, 3).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };

  // All text can be read.
  const seen = new Set();
  for (const e of document.body.querySelectorAll('*')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || !e.checkVisibility() || ['title', 'desc'].includes(e.tagName)) continue;
    const style = getComputedStyle(e), below = ground(e), colour = over(parse(e instanceof SVGElement ? style.fill : style.color), below);
    if (parseFloat(style.fontSize) < 11) wrong.push('small: ' + start(e));
    if (seen.has(colour + '/' + below)) continue;
    seen.add(colour + '/' + below);
    if (contrast(colour, below) < 4.5) wrong.push('contrast ' + contrast(colour, below).toFixed(2) + ' of ' + start(e));
  }

  // What charts draw is seen, is inside, and is labelled.
  const charts = [...document.querySelectorAll('svg.chart')], of = e => e.getBoundingClientRect();
  for (const chart of charts) {
    const box = of(chart), drawn = [...chart.querySelectorAll('rect, path, use')].filter(e => e.checkVisibility());
    if (box.width < 200 || box.height < 100) wrong.push('a chart is ' + box.width + ' by ' + box.height);
    if (!drawn.some(e => of(e).width + of(e).height >= 2)) wrong.push('nothing is drawn in ' + start(chart));
    const pale = drawn.find(e => { const s = getComputedStyle(e); return contrast(parse(s.fill !== 'none' ? s.fill : s.stroke), ground(chart)) < 3; });
    if (pale) wrong.push('pale: ' + start(pale));
    const outside = drawn.find(e => { const b = of(e); return b.left < box.left - 1 || b.right > box.right + 1 || b.top < box.top - 1 || b.bottom > box.bottom + 1; });
    if (outside) wrong.push('outside: ' + start(outside));
    const labels = [...chart.querySelectorAll('text')].filter(e => e.checkVisibility()).map(of);
    if (labels.length < 4) wrong.push('a chart has ' + labels.length + ' labels');
    labels.forEach((a, i) => labels.slice(i + 1).forEach(b => {
      if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom) wrong.push('labels overlap at ' + Math.round(a.left) + ',' + Math.round(a.top));
    }));
    if (labels.some(b => b.left < 0 || b.right > root.clientWidth)) wrong.push('a label is cut');
  }

  if (document.scripts.length || document.querySelector('[onclick],[onerror],[onload],[onmouseover],[style]')) wrong.push('it has scripts or styles of its own');
  return { wrong, charts: charts.length, height: root.scrollHeight };
})()
