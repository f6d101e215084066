/** The page's only script: sorts tables, and filters where there is a place for words. Without it a table stands as it is. */
export const SCRIPT = String.raw`
for (const table of document.querySelectorAll('table[data-sortable]')) {
  const [body, rest] = table.tBodies, rows = [...table.tBodies].flatMap(part => [...part.rows]), heads = [...table.tHead.rows[0].cells];
  const box = table.closest('section').querySelector('.filter');
  let show = () => {};

  // exact is better than any ratio; NaN is nothing and stays last
  const number = text => text === 'exact' ? Infinity : parseFloat(text);
  const value = {
    text: text => text,
    number,
    shape: text => text.split('×').map(number).reduce((a, b) => a * b, 1),
  };
  const names = new Intl.Collator('en', { numeric: true });
  const compare = (a, b) => typeof a === 'string' ? names.compare(a, b) : a === b ? 0 : a - b;

  heads.forEach((head, column) => {
    const button = document.createElement('button');
    button.append(...head.childNodes);
    head.append(button);
    button.onclick = () => {
      const now = head.ariaSort;
      const direction = now ? (now === 'ascending' ? 'descending' : 'ascending') : head.dataset.first;
      for (const other of heads) other.removeAttribute('aria-sort');
      head.setAttribute('aria-sort', direction);
      const sign = direction === 'ascending' ? 1 : -1;
      const keys = new Map(rows.map(row => [row, value[head.dataset.sort](row.cells[column].dataset.value ?? row.cells[column].textContent.trim())]));
      const none = key => key === '' || Number.isNaN(key);
      rows.sort((a, b) => {
        const [x, y] = [keys.get(a), keys.get(b)];
        return none(x) || none(y) ? none(x) - none(y) : sign * compare(x, y);
      });
      body.append(...rows);
      show();
    };
  });

  if (!box) continue;
  const input = box.querySelector('input'), output = box.querySelector('output'), more = box.querySelector('button');
  const texts = new Map(rows.map(row => [row, row.textContent.toLowerCase()]));
  let limit = Number(table.dataset.shown);
  show = () => {
    const words = input.value.toLowerCase().split(/\s+/);
    let found = 0;
    for (const row of rows) row.hidden = !words.every(word => texts.get(row).includes(word)) || ++found > limit;
    more.hidden = found <= limit;
    const sorted = heads.find(head => head.ariaSort);
    output.value = [
      found + ' of ' + rows.length,
      ...(found > limit ? ['the first ' + limit + ' shown'] : []),
      ...(sorted ? ['by ' + sorted.textContent.trim() + ' ' + sorted.ariaSort] : []),
    ].join(', ');
  };
  more.onclick = () => {
    limit = Infinity;
    show();
  };
  input.oninput = show;
  show();
  if (rest) {
    body.append(...rest.rows);
    rest.remove();
  }
  box.hidden = false;
}
`;
