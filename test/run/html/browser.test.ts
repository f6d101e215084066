import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { compareRuns } from '../../../src/run/compare.js';
import { comparisonHtml } from '../../../src/run/html/comparison.js';
import { reportHtml } from '../../../src/run/html/page.js';
import type { Report } from '../../../src/run/report.js';
import { findChromium } from '../../support/chromium.js';
import { fakeReport } from '../../support/fake-report.js';
import { FAKE_RUNS, fakeRuns } from '../../support/fake-runs.js';
import { tempFolder } from '../../support/temp.js';

const executablePath = findChromium();

/** The comparison of runs as a page. */
async function comparison(): Promise<string> {
  const folder = fakeRuns(FAKE_RUNS);
  return comparisonHtml(await compareRuns(FAKE_RUNS.map(({ name }) => join(folder, name))), '0.1.0');
}

describe('report.html in Chromium', () => {
  if (executablePath === undefined) {
    it.skip('no Chromium is installed; the environment variable CHROMIUM may name one');
    return;
  }
  let browser: Browser;
  const folder = tempFolder();
  const complaints: string[] = [];

  before(async () => {
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  });
  after(() => browser.close());
  beforeEach(() => complaints.splice(0));
  afterEach(async () => {
    await Promise.all(browser.contexts().map(context => context.close()));
    assert.deepEqual(complaints, []);
  });

  /** Opens the page of a report; whatever the browser complains about or loads beside it fails the test. */
  async function open(report: Report | string, options: BrowserContextOptions = {}): Promise<Page> {
    const file = join(folder, 'report.html');
    writeFileSync(file, typeof report === 'string' ? report : await reportHtml(report));
    const page = await (await browser.newContext(options)).newPage();
    page.on('console', message => complaints.push(message.text()));
    page.on('pageerror', error => complaints.push(error.message));
    const { href } = pathToFileURL(file);
    page.on('request', request => {
      if (request.url() !== href && !request.url().startsWith('data:')) complaints.push(request.url());
    });
    await page.goto(href);
    return page;
  }

  /** Texts of a column of the visible rows, from 1. */
  const column = (page: Page, n: number) =>
    page.evaluate<string[]>(
      `[...document.querySelectorAll('.modules tbody tr')]
        .filter(row => row.checkVisibility())
        .map(row => row.cells[${n - 1}].textContent.trim())`,
    );
  const rowCount = async (page: Page) => (await column(page, 1)).length;
  const overflow = (page: Page) => page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');

  it('draws a plot per kind of module and per histogram, each with a description', async () => {
    const page = await open(fakeReport());
    const plots = page.locator('svg[role=img]');
    assert.equal(await plots.count(), 7 + 8);
    for (const plot of await plots.all()) {
      assert.match((await plot.getAttribute('aria-label')) ?? '', /layers 0 to 23|codes of model\./);
      assert.ok((await plot.boundingBox())!.height > 60);
      assert.ok((await plot.locator('path, line').count()) > 3);
    }
  });

  it('sorts by click and by keyboard, and says so', async () => {
    const page = await open(fakeReport());
    const head = page.getByRole('columnheader', { name: 'SQNR dB' });
    await head.getByRole('button').click();
    assert.equal(await head.getAttribute('aria-sort'), 'ascending');
    const numbers = async () => (await column(page, 6)).filter(Boolean).map(Number);
    const ascending = (list: number[]) => [...list].sort((a, b) => a - b);
    assert.equal((await numbers()).length, 168);
    assert.deepEqual(await numbers(), ascending(await numbers()));

    await page.keyboard.press('Enter');
    assert.equal(await head.getAttribute('aria-sort'), 'descending');
    assert.deepEqual(await numbers(), ascending(await numbers()).reverse());
    assert.equal(await page.locator('th[aria-sort]').count(), 1);
    // what has no figure stays last in both directions
    assert.deepEqual((await column(page, 1)).slice(-2).sort(), ['lm_head', 'model.embed_tokens']);
    assert.match(await page.locator('output').innerText(), /by SQNR dB descending/);
  });

  it('sorts names as people count, and shapes by their size', async () => {
    const page = await open(fakeReport({ layers: 12 }));
    await page.getByRole('button', { name: 'module' }).click();
    const names = await column(page, 1);
    assert.ok(names.indexOf('model.layers.2.mlp.up_proj') < names.indexOf('model.layers.10.mlp.up_proj'));
    await page.getByRole('button', { name: 'shape' }).click();
    assert.match((await column(page, 2))[0]!, /^151936/);
  });

  it('filters by every word', async () => {
    const page = await open(fakeReport());
    await page.getByLabel('Filter').fill('DOWN_proj int4 layers.1');
    assert.equal(await rowCount(page), 11);
    assert.match(await page.locator('output').innerText(), /^11 of 170/);
    await page.getByLabel('Filter').fill('no such module');
    assert.equal(await rowCount(page), 0);
    await page.getByLabel('Filter').fill('');
    assert.equal(await rowCount(page), 170);
  });

  it('shows the first of thousands of rows, and all when asked', async () => {
    const page = await open(fakeReport({ layers: 8, experts: 50, weights: 'fp4' }));
    assert.equal(await rowCount(page), 400);
    await page.getByLabel('Filter').fill('k_proj');
    assert.equal(await rowCount(page), 8);
    await page.getByLabel('Filter').fill('');
    await page.getByRole('button', { name: 'Show all' }).click();
    assert.equal(await rowCount(page), 8 * (4 + 1 + 150) + 2);
    assert.equal(await page.getByRole('button', { name: 'Show all' }).count(), 0);
  });

  it('has everything without scripts', async () => {
    const page = await open(fakeReport({ layers: 8, experts: 50, weights: 'fp4' }), { javaScriptEnabled: false });
    assert.equal(await rowCount(page), 8 * (4 + 1 + 150) + 2);
    assert.equal(await page.getByLabel('Filter').isVisible(), false);
  });

  it('runs nothing that a name says', async () => {
    const rename = (module: string) =>
      `${module}.<script>document.title='x'</script><img src=x onerror="document.title='x'">`;
    const page = await open(fakeReport({ layers: 2, rename }));
    assert.match(await page.title(), /^Qwen2\.5/);
    assert.equal(await page.locator('img').count(), 0);
    assert.match((await column(page, 1))[0]!, /<script>document\.title='x'<\/script><img src=x/);
  });

  it('has colours for light and dark, in the plots too; print is light', async () => {
    const page = await open(fakeReport(), { colorScheme: 'light' });
    const colours = () =>
      page.evaluate<string[]>(
        `[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color,
          getComputedStyle(document.querySelector('svg path[stroke="var(--data)"]')).stroke]`,
      );
    const light = await colours();
    await page.emulateMedia({ colorScheme: 'dark' });
    const dark = await colours();
    for (const [i, colour] of light.entries()) assert.notEqual(colour, dark[i]);
    await page.emulateMedia({ colorScheme: 'dark', media: 'print' });
    assert.deepEqual(await colours(), ['rgb(255, 255, 255)', ...light.slice(1)]);
  });

  for (const [name, report] of [
    ['a dense model', fakeReport()],
    ['an evaluated model', fakeReport({ quality: 'in layers 0-2', asked: true })],
    ['a mixture', fakeReport({ layers: 6, experts: 8, weights: 'fp4' })],
    ['long names', fakeReport({ layers: 2, rename: module => module + '_'.repeat(200) })],
  ] as const) {
    it(`fits from phone to desk and on paper: ${name}`, async () => {
      const page = await open(report);
      for (const width of [320, 360, 640, 800, 1100, 1400]) {
        await page.setViewportSize({ width, height: 800 });
        assert.equal(await overflow(page), 0, `${width} pixels`);
      }
      // A4 within its margins
      await page.setViewportSize({ width: 680, height: 962 });
      await page.emulateMedia({ media: 'print' });
      assert.equal(await overflow(page), 0, 'print');
    });
  }

  it('draws the hidden states of an evaluated model over depth', async () => {
    const page = await open(fakeReport({ quality: 'in layers 0-2' }));
    assert.equal(await page.locator('.hidden-states svg[role=img]').count(), 2);
    assert.match(await page.locator('.hidden-states').innerText(), /of the turn comes in layers 0-2/);
    assert.match(await page.locator('.cards').innerText(), /KL to the original\s+0\.031/);
  });

  it('marks differing words beside each other on a desk, below each other on a phone, in light, dark and print', async () => {
    const page = await open(fakeReport({ quality: 'in layers 0-2', asked: true }));
    const tops = () =>
      page.evaluate<number[]>(`[...document.querySelectorAll('.texts dt')].slice(0, 2).map(dt => dt.offsetTop)`);
    const [base, model] = await tops();
    assert.equal(base, model);
    await page.setViewportSize({ width: 380, height: 800 });
    const [upper, lower] = await tops();
    assert.ok(upper! < lower!);
    assert.deepEqual(await page.locator('.texts mark').allInnerTexts(), [
      'had never seen the river',
      'flood',
      'a barge struck its second pier',
      'were asked to build it',
      'stone',
      'the winter of 1961',
      'if n < 2: ',
      'n',
      '<script>alert(1)</script>',
    ]);
    const colour = () => page.evaluate<string>(`getComputedStyle(document.querySelector('mark')).backgroundColor`);
    const light = await colour();
    await page.emulateMedia({ colorScheme: 'dark' });
    assert.notEqual(await colour(), light);
    await page.emulateMedia({ colorScheme: 'dark', media: 'print' });
    assert.equal(await colour(), light);
    // what is marked keeps its ink
    assert.equal(await page.evaluate(`getComputedStyle(document.querySelector('mark')).color`), 'rgb(28, 27, 26)');
  });

  it('compares runs: a plot with the front named, a table that sorts, the recipes as a diff', async () => {
    const page = await open(await comparison());
    const plot = page.locator('.pareto svg[role=img]');
    assert.match((await plot.getAttribute('aria-label'))!, /on the front: w4-mse, w4-mse-g32, w6, w8$/);
    const texts = await plot.locator('text').allTextContents();
    for (const name of ['w4-mse', 'w4-mse-g32', 'w6', 'w8']) assert.ok(texts.includes(name), name);
    const order = () => page.locator('.runs tbody th').allInnerTexts();
    assert.equal((await order())[0], 'w4-minmax');
    await page.getByRole('button', { name: 'KL' }).click();
    assert.deepEqual(await order(), ['w8', 'w6', 'fp8', 'w4-mse-g32', 'w4-mse', 'nvfp4', 'w4-minmax']);
    assert.match(await page.locator('.diff').first().innerText(), /− +num_bits: 4\n\+ +num_bits: 6/);
    for (const width of [320, 640, 1100]) {
      await page.setViewportSize({ width, height: 800 });
      assert.equal(await overflow(page), 0, `${width} pixels`);
    }
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
    assert.equal(await page.evaluate('getComputedStyle(document.body).backgroundColor'), 'rgb(255, 255, 255)');
  });

  it('can be read in order: one h1, no level skipped, every region named', async () => {
    const page = await open(fakeReport());
    const levels = await page.evaluate<number[]>(`[...document.querySelectorAll('h1,h2,h3')].map(h => +h.tagName[1])`);
    assert.deepEqual(
      levels.filter(level => level === 1),
      [1],
    );
    levels.forEach((level, i) => assert.ok(level <= (levels[i - 1] ?? 0) + 1));
    assert.deepEqual(await page.getByRole('region', { name: /^$/ }).count(), 0);
    assert.equal(await page.getByRole('table').count(), await page.locator('table').count());
  });
});
