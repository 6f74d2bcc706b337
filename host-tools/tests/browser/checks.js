// What a person would stumble over in the page that is open: a list of sentences.
(() => {
  const faults = new Set();
  const root = document.documentElement;
  const wide = Math.max(root.scrollWidth, root.getBoundingClientRect().right);
  if (wide > innerWidth + 0.5) faults.add(`it is ${wide} pixels wide in a window of ${innerWidth}`);

  // Contrast as WCAG 2.2 counts it (1.4.3): 4.5 for text, 3 for large text.
  const numbers = (color) => color.match(/[\d.]+/g).map(Number);
  const over = ([r, g, b, a = 1], [r2, g2, b2]) => [[r, r2], [g, g2], [b, b2]].map(([x, y]) => x * a + y * (1 - a));
  const luminance = (color) => {
    const [r, g, b] = color.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const canvas = () => {
    const probe = document.createElementNS("http://www.w3.org/1999/xhtml", "i");
    root.append(probe);
    probe.style = "color: Canvas";
    const color = numbers(getComputedStyle(probe).color);
    probe.remove();
    return color;
  };
  const behind = (element) => {
    if (!element) return canvas();
    const color = numbers(getComputedStyle(element).backgroundColor);
    return (color[3] ?? 1) === 1 ? color : over(color, behind(element.parentElement));
  };
  const told = (text) => `“${text.trim().slice(0, 40)}”`;

  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.data, element = walker.currentNode.parentElement;
    const is = (selector) => element.closest(selector);
    if (!text.trim() || is("script, style, title, :disabled") || !element.checkVisibility({ visibilityProperty: true })) continue;
    const style = getComputedStyle(element), size = parseFloat(style.fontSize);
    const svg = is("svg");
    const scale = svg?.viewBox.baseVal?.width ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
    if (size * scale < 10.5) faults.add(`${told(text)} is ${(size * scale).toFixed(1)} pixels high`);
    let color = numbers(style.color), back = behind(element);
    if (svg) {
      color = numbers(style.fill);
      const box = element.getBoundingClientRect(), around = svg.getBoundingClientRect();
      if (box.left < around.left - 1 || box.right > around.right + 1) faults.add(`${told(text)} leaves its picture`);
      // The last rectangle that is drawn below the middle of the text.
      const x = (box.left + box.right) / 2, y = (box.top + box.bottom) / 2;
      for (const rect of svg.querySelectorAll("rect")) {
        const r = rect.getBoundingClientRect();
        if (rect.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_FOLLOWING && r.left < x && x < r.right && r.top < y && y < r.bottom) {
          const paint = getComputedStyle(rect), fill = numbers(paint.fill);
          back = over([...fill.slice(0, 3), paint.fillOpacity * (fill[3] ?? 1)], back);
          const holds = rect.parentElement === element.parentElement && rect.parentElement.closest(".map");
          if (holds && (box.right > r.right + 1 || box.left < r.left - 1)) faults.add(`${told(text)} leaves its rectangle`);
        }
      }
    }
    const least = size >= 24 || (size >= 18.6 && style.fontWeight >= 600) ? 3 : 4.5;
    const has = contrast(over(color, back), back);
    if (has < least) faults.add(`${told(text)} has a contrast of ${has.toFixed(2)} (${color} on ${back.map(Math.round)})`);
  }
  for (const table of document.querySelectorAll("table")) {
    if (!table.checkVisibility()) continue;
    const section = table.closest("section")?.id ?? "a table";
    const rows = [...table.querySelectorAll("tbody tr")];
    if (!rows.some((row) => row.getBoundingClientRect().height > 10)) faults.add(`the table of ${section} has no rows`);
    const box = table.parentElement;
    if (box.scrollWidth > box.clientWidth + 1) faults.add(`the table of ${section} is ${box.scrollWidth} wide in ${box.clientWidth}`);
  }
  for (const control of document.querySelectorAll("button, input, select, summary, a[href]")) {
    if (!control.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    const box = control.getBoundingClientRect();
    // WCAG 2.2, 2.5.8: 24 pixels for a finger. A label around a control counts.
    const label = control.closest("label")?.getBoundingClientRect() ?? box;
    if (box.width > 2 && Math.max(box.height, label.height) < 24 && matchMedia("(pointer: coarse)").matches && !control.closest("p, li, td"))
      faults.add(`${told(control.textContent || control.id)} is ${box.height.toFixed(0)} pixels high for a finger`);
  }
  return [...faults].slice(0, 40);
})()
